"""A folder of pictures as a data set; `ocjax.data.layout` says how it is laid out."""

import contextlib
import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from absl import logging

from ocjax import _files
from ocjax._checks import InputError
from ocjax.data import cache, entries, files, fitting, layout
from ocjax.data.dataset import Dataset
from ocjax.data.entries import GOOD, Entry

_READING = 3  # Part of the cache's key: raise it when pictures are read in another way.


class TestFile(NamedTuple):
    """A picture to judge a detector on."""

    __test__ = False  # No test of pytest's.

    path: pathlib.Path
    kind: str  # `GOOD`, or of anomaly.
    mask: pathlib.Path | None  # Of an anomaly, where the folder has masks.


def folder(
    *,
    data_dir: str | os.PathLike | None,
    size: int,
    name: str = "folder",
    fit: str = fitting.STRETCH,
    skip_unreadable: bool = False,
) -> Dataset:
    """The pictures below `data_dir`, grey if all of them are, else in colour.

    They are decoded once, into a file in the cache that is read as needed, so there may
    be more than fit in memory. So are masks, where the layout has them.

    Args:
      data_dir: the folder.
      size: height and width of the images, resized bilinearly.
      name: of the data set.
      fit: how pictures that are not square become so, one of `ocjax.data.fitting.FITS`.
      skip_unreadable: leave out pictures that cannot be read, with a warning that names
        them.

    Returns:
      A `Dataset` whose class 0 is "good", the only one that trains. Paths are from
      `data_dir` on, but of pictures elsewhere that a `labels.csv` lists.

    Raises:
      InputError: the layout is another, a part has no pictures, some cannot be read, or
        an anomalous picture has no mask while others have.
    """
    if data_dir is None:
        raise InputError(f"Data set {name!r} needs --data_dir, the folder of pictures.")
    root = _files.local(data_dir, "--data_dir")
    return laid_out(root, layout.read(root), size, name, fit, skip_unreadable)


def laid_out(
    root: pathlib.Path,
    found: layout.Layout,
    size: int,
    name: str,
    fit: str = fitting.STRETCH,
    skip_unreadable: bool = False,
) -> Dataset:
    """The pictures of a layout that was read; the others are `folder`'s."""
    pictures, alone = found
    pictures = entries.training_first(root, pictures)
    _check(root, pictures, alone)
    shape = (size, size, 1 if _all_grey(pictures) else 3)
    try:
        images = _images(pictures, shape, fit)
    except _Unreadable as error:
        errors = error.errors
        pictures = _without(errors, pictures, skip_unreadable)
        _check(root, pictures, alone, list(errors.values()))
        images = _images(pictures, shape, fit)
    kinds = [GOOD, *sorted({entry.kind for entry in pictures} - {GOOD})]
    places = tuple(entries.place(root, entry.path) for entry in pictures)
    groups = None
    if any(entry.group for entry in pictures):
        named = [e.group or place for e, place in zip(pictures, places, strict=True)]
        groups = np.unique(named, return_inverse=True)[1].astype(np.int64)
    return Dataset(
        name,
        images,
        np.array([kinds.index(entry.kind) for entry in pictures], np.int64),
        np.array([bool(entry.test) for entry in pictures]),
        tuple(kinds),
        groups=groups,
        masks=_masks(pictures, size, fit),
        paths=places,
    )


def test_files(data_dir: str | os.PathLike) -> list[TestFile]:
    """The test pictures below a folder in one of the layouts, their kinds and masks.

    Of good pictures beside others all of them, and of a `labels.csv` without `split`:
    what a detector was trained on elsewhere is not known here.

    Raises:
      InputError: the layout is another, or the folder is a part of one.
    """
    root = _files.local(data_dir, "the folder")
    return [TestFile(e.path, e.kind, e.mask) for e in layout.read_tests(root)]


def _all_grey(pictures: Sequence[Entry]) -> bool:
    """Whether no picture that can be read has colours."""
    for entry in pictures:
        with contextlib.suppress(InputError):  # It is named when it is decoded.
            if not files.is_grey(entry.path):
                return False
    return True


def _without(
    errors: dict[int, InputError], pictures: list[Entry], skip: bool
) -> list[Entry]:
    """The entries that can be read, if those that cannot may be left out."""
    message = files.unreadable([*errors.values()], len(pictures))
    if not skip:
        raise InputError(
            f"{message}. Remove them, or leave them out with "
            "skip_unreadable (`ocjax train --skip_unreadable`, or "
            "--config.skip_unreadable=True of experiments/train.py)."
        )
    logging.warning("Left out: %s.", message)
    return [entry for i, entry in enumerate(pictures) if i not in errors]


def _check(
    root: pathlib.Path,
    pictures: Sequence[Entry],
    alone: bool,
    left_out: Sequence[InputError] = (),
) -> None:
    """Raises `InputError` where a part would be empty.

    Args:
      root: the folder.
      pictures: in it.
      alone: whether good ones may be alone.
      left_out: what is wrong with others, that were left out.
    """
    counts = {
        "good pictures that train": lambda e: e.kind == GOOD and not e.test,
        "good pictures that test": lambda e: e.kind == GOOD and e.test,
        "anomalous pictures": lambda e: alone or e.kind != GOOD,
    }
    for part, belongs in counts.items():
        if not any(map(belongs, pictures)):
            message = f"{root} has no {part}; all parts need some."
            count = len(pictures) + len(left_out)
            errors = [*left_out, *_unreadable(pictures)]
            if errors:
                message += f" {files.unreadable(errors, count)}."
            raise InputError(message)


def _unreadable(pictures: Sequence[Entry]) -> list[InputError]:
    """What is wrong with pictures of which not even the header can be read."""
    results = files.each(files.is_grey, [entry.path for entry in pictures])
    return [result for result in results if isinstance(result, InputError)]


class _Unreadable(Exception):
    def __init__(self, errors: dict[int, InputError]):
        self.errors = errors


def _images(pictures: list[Entry], shape: tuple[int, int, int], fit: str) -> np.ndarray:
    """The pictures, from the cache."""
    paths = [entry.path for entry in pictures]

    def fill(array):
        def read(number):
            array[number] = files.read(paths[number], shape, fit)

        results = enumerate(files.each(read, range(len(paths))))
        errors = {i: error for i, error in results if error is not None}
        if errors:
            raise _Unreadable(errors)

    height, _, channels = shape
    key = _key(paths, height, channels, fit)
    return cache.mapped(key, (len(paths), *shape), fill)


def _masks(pictures: list[Entry], size: int, fit: str) -> np.ndarray | None:
    """Masks `bool [N, size, size]`, if there are any, from the cache."""
    paths = {i: entry.mask for i, entry in enumerate(pictures) if entry.mask}
    if not paths:
        return None

    def fill(array):
        def read(number):
            array[number] = files.read_mask(paths[number], size, fit)

        files.every(read, paths)

    found = [*(entry.path for entry in pictures), *paths.values()]
    key = _key(found, "masks", size, fit)
    return cache.mapped(key, (len(pictures), size, size), fill).view(bool)


def _key(paths: Sequence[pathlib.Path], *parts: object) -> str:
    try:
        return cache.key(paths, "folder", *parts, _READING)
    except OSError as error:
        raise InputError(f"Cannot read {error.filename}: {error.strerror}.") from error
