"""Pictures below a folder of which something is said, if no name within denies it."""

import pathlib
import re
from collections.abc import Sequence

from ocjax._checks import InputError
from ocjax.data import files, tree, words
from ocjax.data.words import Meaning, meaning

# What the name of a mask adds to that of its picture, where both are in one folder.
_MASK = re.compile(r"[ ._-](masks?|gt|ground_?truth|labels?|annotation)$", re.I)


def unknown(root: pathlib.Path, why: str) -> InputError:
    """The error of a folder that is laid out otherwise."""
    return InputError(f"{root} is laid out in no known way: {why}.")


def pictures(root: pathlib.Path, said: Meaning | None) -> list[pathlib.Path]:
    """All pictures below a folder.

    Args:
      root: the folder.
      said: "good" or "bad", of all that is in it; None where nothing was said yet.

    Raises:
      InputError: a folder within says something else, or names of files do.
    """
    paths = tree.below(root)
    allowed = {"good": {"good"}, "bad": {"bad", "unclear"}}.get(said or "", {"good"})
    good, others = set(), {}
    for folder in {path.parent for path in paths}:
        for inner in _within(folder, root):
            other = meaning(inner.name)
            if other == "good":
                good.add(inner)
            if other and other not in allowed:
                others.setdefault(inner, other)
                break
    if not said and any(good.isdisjoint(path.parents) for path in paths):
        others |= dict.fromkeys(good, "good")
    if others:
        raise unknown(root, _deeper(root, said, others))
    _check_masks(root, paths)
    if said != "bad":
        _check_names(root, paths)
    return paths


def _within(folder: pathlib.Path, root: pathlib.Path) -> list[pathlib.Path]:
    """The folder and those it is in, from below the root on."""
    between = [folder, *folder.parents]
    return between[: between.index(root)][::-1]


def _deeper(
    root: pathlib.Path, said: Meaning | None, others: dict[pathlib.Path, Meaning]
) -> str:
    """What is wrong with folders within that say something else, and what to do."""
    names = files.listed(sorted(path.relative_to(root) for path in others))
    if said:
        return f"it has {said} pictures, and there is {names} in it"
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

    Names of nothing but bad, as `defect_1`, say so, and those with a word for it, as
    `part_1_ng`, where others have one for good.
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
