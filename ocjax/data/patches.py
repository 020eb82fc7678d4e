"""Patches cut out of X-ray pictures of baggage."""

import os
import pathlib
from collections.abc import Callable

import numpy as np

from ocjax._checks import InputError
from ocjax.data import cache, files, prepared
from ocjax.data.dataset import Dataset

NORMAL, ANOMALOUS = "0.normal", "1.abnormal"

_READING = 1  # Part of the cache's key: raise it when `_read` gives other arrays.
_NAMED = 5  # Unreadable files named in a message.


def uba(*, data_dir: str | os.PathLike | None, size: int) -> Dataset:
    """The University Baggage Anomaly patches, or any folder of their layout.

    They were never published, so this is the layout that the code of GANomaly reads:
    `train/0.normal`, `test/0.normal` and `test/1.abnormal`. Folders within the last
    one, such as `gun`, `gun-parts` and `knife`, are a class each; a picture that is in
    none of them is of the class `abnormal`.

    Images are grey where all files are, else all in colour. They are stretched to
    squares, where GANomaly's code cuts the longer side; its patches are square.

    Args:
      data_dir: the folder with `uba/{train,test}`, or with these two.
      size: height and width of the images.

    Returns:
      The images; paths are within the data set.

    Raises:
      InputError: the folder or its pictures are missing, or a file is no picture.

    References:
      Akcay et al., `GANomaly <https://arxiv.org/abs/1805.06725>`_, 2018.
    """
    root = _root(data_dir)
    normal = [_pictures(root / part / NORMAL) for part in ("train", "test")]
    anomalous = _pictures(root / "test" / ANOMALOUS)
    kinds = [_kind(path, root / "test" / ANOMALOUS) for path in anomalous]
    classes = ("normal", *sorted(set(kinds)))
    paths = [*normal[0], *normal[1], *anomalous]
    normals = len(normal[0]) + len(normal[1])
    labels = [0] * normals + [classes.index(kind, 1) for kind in kinds]
    return Dataset(
        "uba",
        _read_all(paths, size),
        np.array(labels, np.int64),
        np.arange(len(paths)) >= len(normal[0]),
        classes,
        paths=tuple(path.relative_to(root).as_posix() for path in paths),
        note="Which patches are of one bag is not known, so its patches may be on both "
        "sides of a split of normal ones.",
    )


def _root(data_dir: str | os.PathLike | None) -> pathlib.Path:
    """The folder with `train` and `test`: `<data_dir>/uba`, or `data_dir` itself."""
    folder = prepared.data_folder(data_dir)
    for root in (folder / "uba", folder):
        if (root / "train" / NORMAL).is_dir():
            return root
    raise InputError(
        f"Data set 'uba' is not there: looked for the folder train/{NORMAL} in "
        f"{folder / 'uba'} and in {folder}. Expected pictures in train/{NORMAL}, "
        f"test/{NORMAL} and test/{ANOMALOUS}, there also in folders by kind. The data "
        "were never published; ask the authors of GANomaly "
        "(https://github.com/samet-akcay/ganomaly), or put your own patches there."
    )


def _pictures(folder: pathlib.Path) -> list[pathlib.Path]:
    found = [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in files.SUFFIXES and path.name[0] != "."
    ]
    if not found:
        raise InputError(
            f"Found no pictures in {folder}: expected files that end in "
            f"{', '.join(files.SUFFIXES)}."
        )
    return found


def _kind(path: pathlib.Path, folder: pathlib.Path) -> str:
    first, *rest = path.relative_to(folder).parts
    return first if rest else "abnormal"


def _read_all(paths: list[pathlib.Path], size: int) -> np.ndarray:
    """All pictures, `uint8 [N, size, size, 1 or 3]`, from the cache."""
    key = f"uba-{size}-{_READING}{cache.fingerprint(paths)}"
    return cache.cached(key, ["images"], lambda: _read(paths, size))["images"]


def _read(paths: list[pathlib.Path], size: int) -> cache.Arrays:
    channels = 1 if all(_of_each(files.is_grey, paths)) else 3
    shape = (size, size, channels)
    return {"images": np.stack(_of_each(lambda path: files.read(path, shape), paths))}


def _of_each(function: Callable, paths: list[pathlib.Path]) -> list:
    """What `function` says of the files; those that cannot be read are named."""
    found = list(files.each(function, paths))
    errors = [str(error) for error in found if isinstance(error, InputError)]
    if errors:
        more = f"; and {len(errors) - _NAMED} more" if len(errors) > _NAMED else ""
        raise InputError(
            f"{len(errors)} of {len(paths)} files cannot be read: "
            f"{'; '.join(errors[:_NAMED])}{more}. Remove them, or put whole ones there."
        )
    return found
