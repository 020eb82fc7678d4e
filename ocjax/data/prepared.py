"""Data sets that TensorFlow Datasets (TFDS) has prepared as array_record files.

These are read at random and without TensorFlow. Nothing here touches the network:
files are looked for first, because TFDS itself would answer a missing data set with
a download or a misleading error.
"""

import io
import os
import pathlib
import shlex
from typing import Any

import numpy as np

from ocjax import _extras, _files
from ocjax._checks import InputError
from ocjax.data import cache, images

NAMES = ("mnist", "fashion_mnist", "cifar10")

# Names of a record's fields, by our names of the arrays.
_LABELS = {"images": "image", "labels": "label"}
_FEATURES = {
    "coil100": {"images": "image", "labels": "object_id"},
    "gtsrb": _LABELS | {"tracks": "track", "paths": "path"},
}
_DECODING = 1  # Part of the cache's key, to be raised when `_decode` changes arrays.


def data_folder(data_dir: str | os.PathLike | None = None) -> pathlib.Path:
    """Folder `data_dir` if given, else `$TFDS_DATA_DIR`, else `~/tensorflow_datasets`.

    Raises:
      InputError: the path is not local, or begins with `~` where no home folder is
        known.
    """
    chosen = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return _files.local(chosen, "--data_dir")


def release(
    name: str,
    data_dir: str | os.PathLike | None,
    marker: str,
    expected: str,
    unpacked: str | None = None,
) -> pathlib.Path:
    """Finds the folder of a data set as it is distributed.

    Args:
      name: name of the data set.
      data_dir: folder that it is in, or its own folder; see `data_folder`.
      marker: name of a folder in it.
      expected: end of the message: the files that are expected, and where to get them.
      unpacked: name of its folder, if it is not `name`.

    Raises:
      InputError: the folder is not there.
    """
    folder = data_folder(data_dir)
    for root in (folder / (unpacked or name), folder):
        if (root / marker).is_dir():
            return root
    raise InputError(
        f"Data set {name!r} is not there: looked for the folder {marker} in "
        f"{folder / (unpacked or name)} and in {folder}. {expected}"
    )


def find(name: str, data_dir: str | os.PathLike | None = None) -> pathlib.Path:
    """Finds `<data_dir>/<name>/<version>`, the folder of the newest with records.

    Raises:
      InputError: there is none; the message says how to prepare it.
    """
    root = data_folder(data_dir)
    infos = [
        path
        for path in (root / name).glob("*/dataset_info.json")
        if path.parent.name.replace(".", "").isdigit()
    ]
    ready = [info.parent for info in infos if any(info.parent.glob("*.array_record*"))]
    if ready:
        return max(ready, key=lambda path: [int(n) for n in path.name.split(".")])
    problem, target = "is not prepared in", root
    if infos:
        # TFDS refuses to prepare a second format in the folder of the first.
        problem, target = "is not in array_record format in", root / "array_record"
    raise InputError(
        f"Data set {name!r} {problem} {root} (looked for "
        f"{name}/<version>/*.array_record*); to prepare it: "
        f"{_extras.install('prepare')} && ocjax prepare {name} "
        f"--data_dir={shlex.quote(str(target))}"
    )


def read(folder: pathlib.Path, split: str, size: int) -> cache.Arrays:
    """Reads one part of the data set in `folder`, decoded and resized, by the cache.

    Args:
      folder: folder that `find` returns.
      split: part of the data, "train" or "test".
      size: height and width of the images.

    Returns:
      Arrays `images`, `uint8 [N, size, size, C]`; `labels`, `int64 [N]`; `class_names`,
      strings `[K]`; for GTSRB also `tracks`, `int64 [N]`, and `paths`, strings `[N]`.

    Raises:
      InputError: a file is missing or damaged.
    """
    # Other source files make another key, so that no stale array is ever read.
    source = folder.parent.name, folder.name
    key = cache.key(sorted(folder.iterdir()), *source, split, size, _DECODING)
    names = [*_FEATURES.get(folder.parent.name, _LABELS), "class_names"]
    return cache.cached(key, names, lambda: _decode(folder, split, size))


def _decode(folder: pathlib.Path, split: str, size: int) -> cache.Arrays:
    import tensorflow_datasets as tfds
    from PIL import Image

    builder: Any = tfds.builder_from_directory(folder)  # TFDS hides its types.
    # Our decoding is a third faster than TFDS's, which also advises to get OpenCV.
    raw = {"image": tfds.decode.SkipDecoding()}
    source = builder.as_data_source(split=split, decoders=raw)
    try:
        records = source.__getitems__(range(len(source)))
    except RuntimeError as error:  # A file is missing or its checksum differs.
        raise InputError(f"Cannot read {split!r} in {folder}: {error}") from error
    features = builder.info.features
    channels = features["image"].shape[-1]
    pixels = np.empty((len(records), size, size, channels), np.uint8)
    for record, image in zip(records, pixels, strict=True):
        picture = np.asarray(Image.open(io.BytesIO(record["image"])))
        picture = picture.reshape(*picture.shape[:2], channels)
        image[:] = images.resize_one(picture, size)
    names = _FEATURES.get(folder.parent.name, _LABELS)
    text = lambda value: value.decode() if isinstance(value, bytes) else value
    arrays = {
        ours: np.array([text(record[theirs]) for record in records])
        for ours, theirs in names.items()
        if ours != "images"
    }
    return arrays | {
        "images": pixels,
        "class_names": np.array(features[names["labels"]].names),
    }
