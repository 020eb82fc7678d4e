"""Layout of a folder of pictures: which of them are good, train and test.

What names say is read by `ocjax.data.words`, in any case and spelling. The layouts:

* `train/good`, `test/good` and `test/<kind>` for every kind of anomaly, as MVTec AD
  has it. `train` may hold its good pictures without a folder `good`, and there may be
  no anomalies. Good pictures of a folder for validation train too;
* `good` beside `bad`, or beside folders of any names, a kind of anomaly each: a fifth
  of the good pictures tests, and all of the others;
* a `labels.csv`, read by `ocjax.data.labels`;
* pictures alone, also in folders whose names say nothing: all of them are good, a fifth
  tests, and there are no anomalies.

The first two may have masks: that of `test/<kind>/x.png`, or `<kind>/x.png`, is `x.png`
or `x_mask.png` in `ground_truth/<kind>`, of any suffix. Whatever else is there is
refused: it would train as good, or be left out without a word.
"""

import functools
import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

from ocjax._checks import InputError
from ocjax.data import files, labels, tree, words
from ocjax.data.contents import pictures, unknown
from ocjax.data.entries import GOOD, Entry
from ocjax.data.words import meaning

_PARTS = ("train", "test", "validation", "masks")


class Layout(NamedTuple):
    """The pictures of a folder."""

    entries: list[Entry]
    alone: bool  # True where nothing says that there are anomalies.


def read(root: pathlib.Path) -> Layout:
    """Finds the pictures below a folder.

    Raises:
      InputError: the layout is unknown, or a picture is there twice.
    """
    if not labels.table(root):
        _check_no_test(root)
    layout = _read(root)
    _check_once(layout.entries)
    return layout


def read_tests(root: pathlib.Path) -> list[Entry]:
    """Finds the pictures below a folder that test, or may: those not said to train.

    Training pictures may be elsewhere: only masks are looked for beside `test`.

    Raises:
      InputError: `read` would refuse the folder, or it is a part of a layout.
    """
    table = labels.table(root)
    parts = {} if table else _parts(root)
    if "test" in parts:
        entries = _tests(parts)
    else:
        if not table and not parts:
            _check_whole(root)
        entries = [e for e in _read(root).entries if e.test is not False]
    _check_once(entries)
    return entries


def _check_no_test(root: pathlib.Path) -> None:
    """Raises `InputError` where a folder is in a part that never trains."""
    whole = pathlib.Path(os.path.abspath(root))
    for part in (whole, whole.parent):
        if meaning(part.name, strictly=True) in ("test", "validation", "masks"):
            beside = os.listdir(part.parent) if os.access(part.parent, os.R_OK) else ()
            if any(meaning(name, strictly=True) == "train" for name in beside):
                raise InputError(
                    f"{root} is in a part of a layout, which does not train: pass "
                    f"{part.parent}."
                )


def _check_whole(root: pathlib.Path) -> None:
    """Raises `InputError` where a folder seems to be a part of a layout."""
    whole = pathlib.Path(os.path.abspath(root))
    kind = meaning(whole.name, strictly=True)
    if not root.is_dir():
        return
    if kind in _PARTS:
        raise InputError(f"{root} is a part of a layout: pass {whole.parent}.")
    inside = meaning(whole.parent.name, strictly=True) in _PARTS
    if not all(_sides(root)) and (kind or inside):
        raise InputError(
            f"{root} has pictures of one kind, and a judgement needs both: pass "
            f"{whole.parents[1] if inside else whole.parent}."
        )


def _read(root: pathlib.Path) -> Layout:
    if not root.is_dir():
        raise InputError(f"There is no folder {root}.")
    if table := labels.table(root):
        return Layout(labels.read(root, table), alone=False)
    parts = _parts(root)
    if parts.keys() - {"masks"}:
        return _inspected(root, parts)
    good, others = _sides(root)
    if good and others:
        return _beside(root, good, others, parts)
    return _alone(root)


def _parts(root: pathlib.Path) -> dict[str, pathlib.Path]:
    """Folders in `root` that are parts of a layout, by their meanings."""
    parts = {}
    for path in tree.folders(root) if root.is_dir() else []:
        part = meaning(path.name)
        if part in parts:
            raise unknown(
                root, f"{parts[part].name} and {path.name} are both a part {part}"
            )
        if part in _PARTS:
            parts[part] = path
    return parts


def _inspected(root: pathlib.Path, parts: dict[str, pathlib.Path]) -> Layout:
    """Reads the layout of MVTec AD."""
    names = ", ".join(sorted(path.name for path in parts.values()))
    if "train" not in parts:
        raise unknown(
            root, f"it has {names} and no train; expected train/good and test/KIND"
        )
    beside = [path for path in tree.folders(root) if path not in parts.values()]
    others = [*tree.loose(root), *(p for folder in beside for p in tree.below(folder))]
    if others:
        raise unknown(
            root, f"there are pictures beside {names}: {files.listed(others)}"
        )
    trains = [parts[part] for part in ("train", "validation") if part in parts]
    good = [Entry(p, GOOD, False) for part in trains for p in _good_of_part(part)]
    kinds = tree.folders(parts["test"]) if "test" in parts else []
    alone = len(kinds) == len(_good(kinds, loosely=True))
    return Layout(good + _tests(parts), alone)


def _good_of_part(part: pathlib.Path) -> list[pathlib.Path]:
    """Pictures of a part that trains, which may have none but good ones."""
    inside, loose = tree.folders(part), tree.loose(part)
    good = _good(inside, loosely=False)
    others = [path for path in inside if path not in good and tree.below(path)]
    if good and (loose or others):
        raise unknown(
            part,
            f"there are pictures beside {good[0].name}, of which only good ones train: "
            f"{files.listed([*others, *loose])}",
        )
    return [p for folder in good or [part] for p in pictures(folder, "good")]


def _tests(parts: dict[str, pathlib.Path]) -> list[Entry]:
    """Pictures of `test/<kind>`, with their masks."""
    if "test" not in parts:
        return []
    test = parts["test"]
    if loose := tree.loose(test):
        raise unknown(
            test,
            f"there are pictures of no kind: {files.listed(loose)}; expected them in "
            "test/good and test/KIND",
        )
    kinds = tree.folders(test)
    good = _good(kinds, loosely=True)
    entries = [
        Entry(p, GOOD, True) for folder in good for p in pictures(folder, "good")
    ]
    entries += _anomalous([folder for folder in kinds if folder not in good])
    return _with_masks(entries, test, parts.get("masks"))


def _good(inside: Sequence[pathlib.Path], *, loosely: bool) -> list[pathlib.Path]:
    """Folders of good pictures; if none and `loosely`, those named with a good word."""
    good = [path for path in inside if meaning(path.name) == "good"]
    if good or not loosely:
        return good
    return [path for path in inside if words.has_good(path.name)]


def _anomalous(folders: Sequence[pathlib.Path]) -> list[Entry]:
    """Pictures of folders that name their kinds."""
    entries = []
    for folder in folders:
        paths = pictures(folder, "bad")
        if paths and words.is_empty(folder.name):
            raise unknown(
                folder.parent, f"{folder.name} names no kind, and is not called good"
            )
        entries += [Entry(path, folder.name, True) for path in paths]
    return entries


def _sides(root: pathlib.Path) -> tuple[list[pathlib.Path], list[pathlib.Path]]:
    """Folders of good pictures, and those of other pictures but masks."""
    kinds = {path: meaning(path.name) for path in tree.folders(root)}
    good = _good(list(kinds), loosely="bad" in kinds.values())
    others = [
        path
        for path, kind in kinds.items()
        if path not in good and kind != "masks" and (kind == "bad" or tree.below(path))
    ]
    return good, others


def _beside(
    root: pathlib.Path,
    good: list[pathlib.Path],
    others: list[pathlib.Path],
    parts: dict[str, pathlib.Path],
) -> Layout:
    """Reads the layout of good pictures beside those of other kinds."""
    if loose := tree.loose(root):
        raise unknown(
            root,
            f"there are pictures beside {good[0].name} and {others[0].name}: "
            f"{files.listed(loose)}",
        )
    entries = [Entry(p, GOOD, None) for f in good for p in pictures(f, "good")]
    entries += _anomalous(others)
    return Layout(_with_masks(entries, root, parts.get("masks")), alone=False)


def _alone(root: pathlib.Path) -> Layout:
    """Reads the layout of good pictures alone, if no name says otherwise."""
    kind = meaning(os.path.basename(os.path.abspath(root)), strictly=True)
    paths = pictures(root, None)
    if not paths:
        raise unknown(
            root,
            "looked for train/good and test/<kind>, for good beside bad, for "
            "labels.csv with the columns path and label, and for pictures, which end "
            f"in {', '.join(files.SUFFIXES)}",
        )
    if kind in ("bad", "masks"):
        raise unknown(
            root,
            "its pictures alone would train as good ones, and its name says that they "
            "are not; pass a folder of good ones, or of both",
        )
    return Layout([Entry(path, GOOD, None) for path in paths], alone=True)


def _with_masks(
    entries: list[Entry], tests: pathlib.Path, truth: pathlib.Path | None
) -> list[Entry]:
    """Gives the entries of anomalies their masks in folders below `truth`."""
    if truth is None:
        return entries
    masks = {
        path.relative_to(truth).with_suffix(""): path for path in tree.below(truth)
    }
    if not masks:
        return entries

    def mask(entry):
        place = entry.path.relative_to(tests).with_suffix("")
        return masks.get(place.with_name(f"{place.name}_mask"), masks.get(place))

    entries = [e if e.kind == GOOD else e._replace(mask=mask(e)) for e in entries]
    bare = [e.path for e in entries if e.kind != GOOD and e.mask is None]
    if bare:
        raise InputError(
            f"{len(bare)} anomalous pictures have no mask below {truth}: "
            f"{files.listed(bare)}."
        )
    return entries


def _check_once(entries: list[Entry]) -> None:
    """Raises `InputError` where links make one picture two."""
    real, path_by_place = functools.cache(os.path.realpath), {}
    for path in (entry.path for entry in entries):
        place = os.path.join(real(path.parent), path.name)
        if path.is_symlink():
            place = os.path.realpath(path)
        first = path_by_place.setdefault(place, path)
        if first != path:
            raise InputError(f"{path} and {first} are one file; remove one of them.")
