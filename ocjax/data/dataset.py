"""Labelled images in memory, as sources give them."""

import zlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from ocjax import _checks


class Dataset(NamedTuple):
    """Labelled images, those of the training part first."""

    name: str
    # Pixels [N, H, W, C]: uint8, or float32 in [-1, 1] where 8 bits would lose what
    # matters.
    images: np.ndarray
    labels: np.ndarray  # int64 [N], indices into `class_names`.
    official_test: np.ndarray  # bool [N], True for the data set's own test part.
    class_names: tuple[str, ...]
    # Objects, int64 [N]: normal images of one object, such as the frames of a track or
    # the windows of a recording, are never on two sides of a split. With None each
    # image is an object.
    groups: np.ndarray | None = None
    # Scenes, int64 [N]: a detector of a class is tested on images of the class's own
    # scene alone. With None all are of one scene.
    scenes: np.ndarray | None = None
    paths: tuple[str, ...] | None = None  # Files [N] that the images are from.
    # Masks, bool [N, H, W]: True where an anomaly is, nowhere in normal images. None
    # where they are not known.
    masks: np.ndarray | None = None
    # Scores that need no training, such as loudness, name -> float [N]; larger is more
    # anomalous. They are reported beside a detector's.
    baselines: Mapping[str, np.ndarray] = MappingProxyType({})
    note: str = ""  # Difference from the data that papers report on.


def fingerprint(dataset: Dataset) -> str:
    """Name of the data; other data have another, as far as a hundred images tell."""
    count = len(dataset.images)
    sample = np.unique(np.linspace(0, count - 1, min(count, 100)).astype(int))
    parts = [dataset.labels, dataset.official_test, dataset.images[sample]]
    parts += [part for part in (dataset.groups, dataset.scenes) if part is not None]
    text = "\n".join([*dataset.class_names, *(dataset.paths or ())])
    # Names of files may be of any bytes.
    code = zlib.crc32(text.encode(errors="surrogateescape"))
    for part in parts:
        code = zlib.crc32(np.ascontiguousarray(part).tobytes(), code)
    return f"{code:08x}"


def class_index(dataset: Dataset, name_or_number: str) -> int:
    """Label of a class given as "airplane" or as "0"; names come first.

    Raises:
      InputError: the text is neither a name nor a number of a class.
    """
    names = dataset.class_names
    if name_or_number not in names and name_or_number.isdecimal():
        if int(name_or_number) < len(names):
            return int(name_or_number)
    return names.index(_checks.one_of("class", name_or_number, names))


def trainable(dataset: Dataset) -> list[int]:
    """Labels of the classes that have training images."""
    return np.unique(dataset.labels[~dataset.official_test]).tolist()
