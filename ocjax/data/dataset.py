"""What a source gives: labelled images in memory."""

import zlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from ocjax import _checks


class Dataset(NamedTuple):
    """Labelled images, those of the training part first."""

    name: str
    # uint8 [N, H, W, C]; or float32 in [-1, 1] where 8 bits would lose what matters.
    images: np.ndarray
    labels: np.ndarray  # int64 [N], indices into `class_names`.
    official_test: np.ndarray  # bool [N], whether in the data set's own test part.
    class_names: tuple[str, ...]
    # int64 [N]: normal images of one object, such as the frames of a track or the
    # windows of a recording, are never on two sides of a split. None: each is its own.
    groups: np.ndarray | None = None
    # int64 [N]: a detector of a class is tested on images of the class's own scene
    # alone. None: all are of one.
    scenes: np.ndarray | None = None
    paths: tuple[str, ...] | None = None  # [N], of the file that each is from.
    # bool [N, H, W]: where an anomaly is, nowhere in normal images. None: not known.
    masks: np.ndarray | None = None
    # Name -> float [N]: scores that need no training, such as loudness; larger is more
    # anomalous. They are reported beside a detector's.
    baselines: Mapping[str, np.ndarray] = MappingProxyType({})
    note: str = ""  # How it differs from the data that papers report on.


def fingerprint(dataset: Dataset) -> str:
    """A name of the data: others have another, as far as a hundred images tell."""
    count = len(dataset.images)
    some = np.unique(np.linspace(0, count - 1, min(count, 100)).astype(int))
    parts = [dataset.labels, dataset.official_test, dataset.images[some]]
    parts += [part for part in (dataset.groups, dataset.scenes) if part is not None]
    text = "\n".join([*dataset.class_names, *(dataset.paths or ())])
    # Names of files may be of any bytes.
    code = zlib.crc32(text.encode(errors="surrogateescape"))
    for part in parts:
        code = zlib.crc32(np.ascontiguousarray(part).tobytes(), code)
    return f"{code:08x}"


def class_index(dataset: Dataset, name_or_number: str) -> int:
    """The label of a class given as "airplane" or as "0"; names come first.

    Raises:
      InputError: if it is neither a name nor a number of a class.
    """
    names = dataset.class_names
    if name_or_number not in names and name_or_number.isdecimal():
        if int(name_or_number) < len(names):
            return int(name_or_number)
    return names.index(_checks.one_of("class", name_or_number, names))


def trainable(dataset: Dataset) -> list[int]:
    """The labels of classes that have training images, or any if none are for test."""
    return np.unique(dataset.labels[~dataset.official_test]).tolist()
