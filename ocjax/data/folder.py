"""A folder of pictures as a data set.

Four layouts are known:

* `train/good`, `test/good` and `test/<kind>` for every kind of anomaly, as MVTec AD
  has it, with an optional `ground_truth/<kind>` of masks: of `test/<kind>/x.png` it is
  `x.png` or `x_mask.png`, of any suffix, black where nothing is wrong. There may be no
  anomalies;
* `normal` and `anomalous`: a fifth of the normal pictures, drawn with the constant
  seed 0, tests;
* `labels.csv` with the columns `path` and `label` (`good` for normal ones) and, if
  they are there, `split` (`train` or `test`; as above otherwise) and `group` (pictures
  of one object, whose good ones stay on one side of a split);
* pictures, also in folders of other names: all of them are normal, a fifth tests as
  above, and there are no anomalies.
"""

import contextlib
import csv
import os
import pathlib
from typing import NamedTuple

import numpy as np
from absl import logging

from ocjax._checks import InputError
from ocjax.data import cache, files, prepared
from ocjax.data.dataset import Dataset

GOOD = "good"
_READING = 2  # Part of the cache's key: raise it when pictures are read in another way.
# Parts of a layout: without the others, its pictures are not taken to be normal.
_PARTS = ("train", "test", "ground_truth", "anomalous")


class _Entry(NamedTuple):
    """A picture."""

    path: pathlib.Path
    kind: str
    test: bool | None  # None: not said.
    group: str = ""  # "": its own.
    mask: pathlib.Path | None = None


def folder(
    *,
    data_dir: str | os.PathLike | None,
    size: int,
    name: str = "folder",
    skip_unreadable: bool = False,
) -> Dataset:
    """The pictures below `data_dir`, grey if all of them are, else in colour.

    They are decoded once, into a file in the cache that is read as needed, so there may
    be more than fit in memory. So are masks, where the layout has them.

    Args:
      data_dir: the folder.
      size: height and width of the images, resized bilinearly, whatever their shape.
      name: of the data set.
      skip_unreadable: leave out pictures that cannot be read, with a warning that names
        them.

    Returns:
      A `Dataset` whose class 0 is "good", the only one that trains.

    Raises:
      InputError: the layout is another, a part has no pictures, some cannot be read, or
        an anomalous picture has no mask while others have.
    """
    if data_dir is None:
        raise InputError(f"Data set {name!r} needs --data_dir, the folder of pictures.")
    root = pathlib.Path(data_dir).expanduser()
    entries, alone = _entries(root)
    entries = _training_first(entries)
    _check(root, entries, alone)
    shape = (size, size, 1 if _all_grey(entries) else 3)
    try:
        images = _images(root, entries, shape)
    except _Unreadable as error:
        entries = _without(error.errors, entries, skip_unreadable)
        _check(root, entries, alone)
        images = _images(root, entries, shape)
    kinds = [GOOD, *sorted({entry.kind for entry in entries} - {GOOD})]
    groups = None
    if any(entry.group for entry in entries):
        named = [entry.group or str(entry.path) for entry in entries]
        groups = np.unique(named, return_inverse=True)[1].astype(np.int64)
    return Dataset(
        name,
        images,
        np.array([kinds.index(entry.kind) for entry in entries], np.int64),
        np.array([bool(entry.test) for entry in entries]),
        tuple(kinds),
        groups=groups,
        masks=_masks(root, entries, size),
        paths=tuple(str(entry.path.relative_to(root)) for entry in entries),
    )


def magnetic_tile(
    *, data_dir: str | os.PathLike | None, size: int, skip_unreadable: bool = False
) -> Dataset:
    """Surfaces of magnetic tiles, some with one of five kinds of defects.

    Looked for in `<data_dir>/magnetic_tile`, in the layout of MVTec AD.

    References:
      Huang, Qiu and Yuan, Surface defect saliency of magnetic tile, 2020.
    """
    root = prepared.data_folder(data_dir) / "magnetic_tile"
    return folder(
        data_dir=root, size=size, name="magnetic_tile", skip_unreadable=skip_unreadable
    )


def test_files(
    data_dir: str | os.PathLike,
) -> list[tuple[pathlib.Path, str]]:
    """The test pictures below a folder in one of the layouts, and their kinds.

    Of "normal" and "anomalous", and of good pictures alone, all of them: what a
    detector was trained on elsewhere is not known here.

    Raises:
      InputError: the layout is another.
    """
    root = pathlib.Path(data_dir).expanduser()
    if (root / "test" / GOOD).is_dir() and not (root / "labels.csv").is_file():
        entries = _tested(root)  # What trained, and masks, may be elsewhere.
    else:
        entries, _ = _entries(root)
    return [(e.path, e.kind) for e in entries if e.test is not False]


def _entries(root: pathlib.Path) -> tuple[list[_Entry], bool]:
    """The pictures, and whether good ones may be alone."""
    if not root.is_dir():
        raise InputError(f"There is no folder {root}.")
    if (root / "labels.csv").is_file():
        return _listed(root), False
    if (root / "train" / GOOD).is_dir():
        return _inspected(root)
    if (root / "normal").is_dir() and (root / "anomalous").is_dir():
        found = [_Entry(path, GOOD, None) for path in files.below(root / "normal")]
        anomalies = files.below(root / "anomalous")
        return found + [_Entry(path, "anomalous", True) for path in anomalies], False
    names = {path.name.lower() for path in root.iterdir() if path.is_dir()}
    paths = [] if names.intersection(_PARTS) else files.below(root)
    if paths:
        return [_Entry(path, GOOD, None) for path in paths], True
    raise InputError(
        f"{root} is laid out in no known way: looked for train/good and test/<kind>, "
        "for normal and anomalous, for labels.csv with the columns path and label, and "
        f"for pictures without folders called {', '.join(_PARTS[:-1])} or {_PARTS[-1]}."
    )


def _inspected(root: pathlib.Path) -> tuple[list[_Entry], bool]:
    """The layout of MVTec AD, as `_entries` gives it."""
    found = [_Entry(path, GOOD, False) for path in files.below(root / "train" / GOOD)]
    tests, truth = _tested(root), root / "ground_truth"
    kinds = {path.name for path in _kinds(root)} - {GOOD}
    if any((truth / kind).is_dir() for kind in kinds):
        tests = _with_masks(tests, root / "test", truth)
    return found + tests, not kinds


def _tested(root: pathlib.Path) -> list[_Entry]:
    """The pictures of `test/<kind>`."""
    return [
        _Entry(path, kind.name, True)
        for kind in _kinds(root)
        for path in files.below(kind)
    ]


def _kinds(root: pathlib.Path) -> list[pathlib.Path]:
    """The folders `test/<kind>`."""
    return sorted(path for path in (root / "test").glob("[!.]*") if path.is_dir())


def _with_masks(
    entries: list[_Entry], tests: pathlib.Path, truth: pathlib.Path
) -> list[_Entry]:
    """The entries, those of anomalies with their masks in folders below `truth`."""
    masks = {
        path.relative_to(truth).with_suffix(""): path for path in files.below(truth)
    }

    def mask(entry):
        own = entry.path.relative_to(tests).with_suffix("")
        return masks.get(own.with_name(f"{own.name}_mask"), masks.get(own))

    entries = [e if e.kind == GOOD else e._replace(mask=mask(e)) for e in entries]
    bare = [e.path for e in entries if e.kind != GOOD and e.mask is None]
    if bare:
        raise InputError(
            f"{len(bare)} anomalous pictures have no mask below {truth}: "
            f"{files.listed(bare)}."
        )
    return entries


def _listed(root: pathlib.Path) -> list[_Entry]:
    table = root / "labels.csv"
    try:
        rows = list(csv.DictReader(table.read_text("utf-8-sig").splitlines()))
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{table} is no readable CSV file: {error}") from error
    parts, found = {"train": False, "test": True, "": None}, []
    for number, row in enumerate(rows, 2):
        part, where = (row.get("split") or "").strip(), f"{table}, line {number}"
        if not row.get("path") or not row.get("label"):
            raise InputError(f"{where}: expected a path and a label, got {row}.")
        if part not in parts:
            raise InputError(f"{where}: expected split train or test, got {part!r}.")
        path = root / row["path"].strip()
        if not path.is_file():
            raise InputError(f"{where}: there is no file {path}.")
        kind = row["label"].strip()
        kind = GOOD if kind == "normal" else kind
        test = parts[part] if part or kind == GOOD else True
        if not test and kind != GOOD:
            raise InputError(f"{where}: only {GOOD!r} may train, got {kind!r}.")
        found.append(_Entry(path, kind, test, (row.get("group") or "").strip()))
    return found


def _all_grey(entries: list[_Entry]) -> bool:
    """Whether no picture that can be read has colours."""
    for entry in entries:
        with contextlib.suppress(InputError):  # It is named when it is decoded.
            if not files.is_grey(entry.path):
                return False
    return True


def _without(
    errors: dict[int, InputError], entries: list[_Entry], skip: bool
) -> list[_Entry]:
    """The entries that can be read, if those that cannot may be left out."""
    said = files.unreadable([*errors.values()], len(entries))
    if not skip:
        raise InputError(
            f"{said}. Remove them, or leave them out with "
            "skip_unreadable (`ocjax train --skip_unreadable`, or "
            "--config.skip_unreadable=True of experiments/train.py)."
        )
    logging.warning("Left out: %s.", said)
    return [entry for i, entry in enumerate(entries) if i not in errors]


def _check(root: pathlib.Path, entries: list[_Entry], alone: bool) -> None:
    """Raises `InputError` where a part would be empty."""
    counts = {
        "good pictures that train": lambda e: e.kind == GOOD and not e.test,
        "good pictures that test": lambda e: e.kind == GOOD and e.test,
        "anomalous pictures": lambda e: alone or e.kind != GOOD,
    }
    for what, belongs in counts.items():
        if not any(map(belongs, entries)):
            raise InputError(f"{root} has no {what}; all parts need some.")


def _training_first(entries: list[_Entry]) -> list[_Entry]:
    """The entries with what tests decided, those that train first, sorted."""
    stated = _stated(entries)
    entries = [
        e._replace(test=stated.get(e.group)) if e.test is None else e for e in entries
    ]
    open_ = [i for i, entry in enumerate(entries) if entry.test is None]
    names = [entries[i].group or str(entries[i].path) for i in open_]
    drawn = np.random.default_rng(0).permutation(sorted(set(names)))
    tests = set(drawn[: max(1, len(drawn) // 5)])
    for i, name in zip(open_, names, strict=True):
        entries[i] = entries[i]._replace(test=name in tests)
    return sorted(entries, key=lambda entry: (bool(entry.test), str(entry.path)))


def _stated(entries: list[_Entry]) -> dict[str, bool]:
    """Group -> whether it tests, as said of some of its good pictures."""
    found = {}
    for entry in entries:
        if entry.group and entry.kind == GOOD and entry.test is not None:
            if found.setdefault(entry.group, entry.test) != entry.test:
                raise InputError(
                    f"labels.csv: good pictures of group {entry.group!r} train, and "
                    "others test; a group stays on one side. Change `split` or `group`."
                )
    return found


class _Unreadable(Exception):
    def __init__(self, errors: dict[int, InputError]):
        self.errors = errors


def _images(root: pathlib.Path, entries: list[_Entry], shape) -> np.ndarray:
    """The pictures, from the cache."""
    paths = [entry.path for entry in entries]

    def fill(array):
        def read(number):
            array[number] = files.read(paths[number], shape)

        found = enumerate(files.each(read, range(len(paths))))
        errors = {i: error for i, error in found if error is not None}
        if errors:
            raise _Unreadable(errors)

    height, _, channels = shape
    key = cache.key(paths, root.name, height, channels, _READING)
    return cache.mapped(key, (len(paths), *shape), fill)


def _masks(root: pathlib.Path, entries: list[_Entry], size: int) -> np.ndarray | None:
    """Masks `bool [N, size, size]`, if there are any, from the cache."""
    paths = {i: entry.mask for i, entry in enumerate(entries) if entry.mask}
    if not paths:
        return None

    def fill(array):
        def read(number):
            array[number] = files.read_mask(paths[number], size)

        files.every(read, paths)

    all_paths = [*(entry.path for entry in entries), *paths.values()]
    key = cache.key(all_paths, root.name, "masks", size, _READING)
    return cache.mapped(key, (len(entries), size, size), fill).view(bool)
