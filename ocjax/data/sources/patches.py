"""Patches cut out of X-ray pictures of baggage."""

import os
import pathlib

import numpy as np

from ocjax._checks import InputError
from ocjax.data import cache, files, prepared
from ocjax.data.dataset import Dataset

NORMAL, ANOMALOUS = "0.normal", "1.abnormal"

_READING = 2  # Part of the cache's key, to be raised when `_read` changes arrays.
_EXPECTED = (
    f"Expected pictures in train/{NORMAL}, test/{NORMAL} and test/{ANOMALOUS}, there "
    "also in folders by kind. The data were never published; ask the authors of "
    "GANomaly (https://github.com/samet-akcay/ganomaly), or put your own patches there."
)


def uba(*, data_dir: str | os.PathLike | None, size: int) -> Dataset:
    """Reads the University Baggage Anomaly patches, or any folder of their layout.

    They were never published, so this is the layout that the code of GANomaly reads:
    `train/0.normal`, `test/0.normal` and `test/1.abnormal`. Folders within the last
    one, such as `gun`, `gun-parts` and `knife`, are a class each; a picture that is in
    none of them is of the class `abnormal`.

    Images are grey where all files are, else all in colour. They are stretched to
    squares, where GANomaly's code cuts the longer side; its patches are square.

    Args:
      data_dir: folder with `uba/{train,test}`, or with these two.
      size: height and width of the images.

    Returns:
      Images; paths are within the data set.

    Raises:
      InputError: the folder or its pictures are missing, or a file is no picture.

    References:
      Akcay et al., [GANomaly](https://arxiv.org/abs/1805.06725), 2018.
    """
    root = prepared.release("uba", data_dir, f"train/{NORMAL}", _EXPECTED)
    normal = [_pictures(root / part / NORMAL) for part in ("train", "test")]
    anomalous = _pictures(root / "test" / ANOMALOUS)
    kinds = [_kind(path, root / "test" / ANOMALOUS) for path in anomalous]
    classes = ("normal", *sorted(set(kinds)))
    paths = [*normal[0], *normal[1], *anomalous]
    normals = len(normal[0]) + len(normal[1])
    labels = [0] * normals + [classes.index(kind, 1) for kind in kinds]
    return Dataset(
        "uba",
        images=_read_all(paths, size),
        labels=np.array(labels, np.int64),
        official_test=np.arange(len(paths)) >= len(normal[0]),
        class_names=classes,
        paths=tuple(path.relative_to(root).as_posix() for path in paths),
        note="Which patches are of one bag is not known, so its patches may be on both "
        "sides of a split of normal ones.",
    )


def _pictures(folder: pathlib.Path) -> list[pathlib.Path]:
    paths = files.below(folder)
    if not paths:
        raise InputError(
            f"Found no pictures in {folder}: expected files that end in "
            f"{', '.join(files.SUFFIXES)}."
        )
    return paths


def _kind(path: pathlib.Path, folder: pathlib.Path) -> str:
    first, *rest = path.relative_to(folder).parts
    return first if rest else "abnormal"


def _read_all(paths: list[pathlib.Path], size: int) -> np.ndarray:
    """Reads all pictures, `uint8 [N, size, size, 1 or 3]`, by the cache."""
    key = cache.key(paths, "uba", size, _READING)
    return cache.cached(key, ["images"], lambda: _read(paths, size))["images"]


def _read(paths: list[pathlib.Path], size: int) -> cache.Arrays:
    channels = 1 if all(files.every(files.is_grey, paths)) else 3
    shape = (size, size, channels)
    return {
        "images": np.stack(files.every(lambda path: files.read(path, shape), paths))
    }
