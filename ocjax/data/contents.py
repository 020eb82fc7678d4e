"""Pictures below a folder of known meaning, if no name within denies it."""

import pathlib
import re
from collections.abc import Sequence

from ocjax._checks import InputError
from ocjax.data import files, tree, words
from ocjax.data.words import Meaning, meaning

# End that a mask's name has beside its picture's, where both are in one folder.
_MASK = re.compile(r"[ ._-](masks?|gt|ground_?truth|labels?|annotation)$", re.I)


def unknown(root: pathlib.Path, why: str) -> InputError:
    """Makes the error of a folder that is laid out otherwise."""
    return InputError(f"{root} is laid out in no known way: {why}.")


def pictures(root: pathlib.Path, kind: Meaning | None) -> list[pathlib.Path]:
    """All pictures below a folder.

    Args:
      root: the folder.
      kind: "good" or "bad", as names above say of all that is in the folder; None
        where they say nothing.

    Raises:
      InputError: a folder within says something else, or names of files do.
    """
    paths = tree.below(root)
    allowed = {"bad", "unclear"} if kind == "bad" else {"good"}
    good, others = set(), {}
    for folder in {path.parent for path in paths}:
        for inner in _within(folder, root):
            other = meaning(inner.name)
            if other == "good":
                good.add(inner)
            if other and other not in allowed:
                others.setdefault(inner, other)
                break
    if not kind and any(good.isdisjoint(path.parents) for path in paths):
        others |= dict.fromkeys(good, "good")
    if others:
        raise unknown(root, _reason(root, kind, others))
    _check_masks(root, paths)
    if kind != "bad":
        _check_names(root, paths)
    return paths


def _within(folder: pathlib.Path, root: pathlib.Path) -> list[pathlib.Path]:
    """The folder and those it is in, from below the root on."""
    between = [folder, *folder.parents]
    return between[: between.index(root)][::-1]


def _reason(
    root: pathlib.Path, kind: Meaning | None, others: dict[pathlib.Path, Meaning]
) -> str:
    """Reason to refuse folders within that say something else, and a way out."""
    names = files.listed(sorted(path.relative_to(root) for path in others))
    if kind:
        return f"it has {kind} pictures, and there is {names} in it"
    wholes = {path.parent for path, other in others.items() if other != "masks"}
    wholes = sorted(wholes or {path.parent for path in others})
    if root in wholes:
        return (
            f"it holds {names}, beside pictures of which no folder says that they are "
            "good; expected good beside bad, or train/good and test/KIND"
        )
    return f"it is deeper, since there is {names}; pass {files.listed(wholes)}"


def _check_masks(root: pathlib.Path, paths: Sequence[pathlib.Path]) -> None:
    """Raises `InputError` where masks lie beside their pictures."""
    stems = {path.with_suffix("") for path in paths}
    for path in paths:
        picture = path.parent / _MASK.sub("", path.stem)
        if picture.name != path.stem and picture in stems:
            raise unknown(
                root,
                f"{path} seems to be a mask of the picture beside it; expected masks "
                "in ground_truth/KIND",
            )


def _check_names(root: pathlib.Path, paths: Sequence[pathlib.Path]) -> None:
    """Raises `InputError` where names of files say that not all of them are good.

    A name says so that has words for bad alone, as `defect_1`, or one beside others,
    as `part_1_ng`, where other names have a word for good.
    """
    alike = {re.sub(r"\d+", "0", path.stem): path for path in paths}
    good = [path for stem, path in alike.items() if words.has_good(stem)]
    bad = [
        path
        for stem, path in alike.items()
        if meaning(stem, strictly=not good) == "bad"
    ]
    if bad:
        raise unknown(
            root,
            f"{bad[0].name} is named as a bad one, and would train; put good and bad "
            "pictures into folders good and bad, or into labels.csv",
        )
