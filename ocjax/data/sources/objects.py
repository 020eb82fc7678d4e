"""Views of objects on a turntable: COIL-100 and COIL-20.

Neither has official parts or groups of views: the protocols that pool (`p1`) are for
them.
"""

import os
import pathlib
import re

import numpy as np

from ocjax._checks import InputError
from ocjax.data import cache, files, images, prepared
from ocjax.data.dataset import Dataset

OBJECTS, VIEWS = 100, 72
_VIEW = re.compile(r"obj(\d+)__(\d+)\.png")


def coil100(*, data_dir: str | os.PathLike | None, size: int) -> Dataset:
    """Reads COIL-100: 72 views, 5 degrees apart, of each of 100 objects, in colour.

    They are in `<data_dir>/coil100`, as TFDS prepares it, or else in the original
    pictures `<data_dir>/coil-100/obj1__0.png` to `obj100__355.png`, 128x128.

    Raises:
      InputError: there is neither, or views are missing.

    References:
      Nene, Nayar and Murase, Columbia Object Image Library (COIL-100), 1996.
    """
    root = prepared.data_folder(data_dir)
    pictures = root / "coil-100"
    if pictures.is_dir():
        return _pictures(pictures, size)
    if not any((root / "coil100").glob("*/dataset_info.json")):
        raise InputError(
            f"Data set 'coil100' is not in {root}: looked for coil100/<version>, as "
            "TFDS prepares it, and for the pictures coil-100/obj1__0.png to "
            "obj100__355.png. They are at "
            "https://www.cs.columbia.edu/CAVE/software/softlib/coil-100.php"
        )
    arrays = prepared.read(prepared.find("coil100", root), "train", size)
    return _dataset("coil100", arrays["images"], arrays["labels"])


def coil100_17(*, data_dir: str | os.PathLike | None, size: int) -> Dataset:
    """Reads seventeen of COIL-100's objects, at 64x64, from one file.

    It is `<data_dir>/coil/coil100_17objects_64.npz`, with `images`,
    `uint8 [N, 64, 64, 3]`, and `object_id`, COIL-100's numbers.

    Raises:
      InputError: there is no such file, or it holds other arrays.
    """
    note = "17 of COIL-100's 100 objects: not comparable with results on all of it."
    return _file("coil100_17", data_dir, "coil100_17objects_64.npz", size, note)


def coil20(*, data_dir: str | os.PathLike | None, size: int) -> Dataset:
    """Reads COIL-20: 72 grey views of each of 20 objects, at 32x32, from one file.

    It is `<data_dir>/coil/coil20_32.npz`, with `images`, `uint8 [N, 32, 32, 1]`, and
    `object_id`.

    Raises:
      InputError: there is no such file, or it holds other arrays.

    References:
      Nene, Nayar and Murase, Columbia Object Image Library (COIL-20), 1996.
    """
    return _file("coil20", data_dir, "coil20_32.npz", size)


def _pictures(root: pathlib.Path, size: int) -> Dataset:
    path_of_view = {}
    for path in root.iterdir():
        if match := _VIEW.fullmatch(path.name):
            path_of_view[int(match[1]), int(match[2])] = path
    counts = np.bincount([number for number, _ in path_of_view], minlength=OBJECTS + 1)
    short = [
        f"obj{i} has {counts[i]}" for i in range(1, OBJECTS + 1) if counts[i] != VIEWS
    ]
    if short or len(counts) != OBJECTS + 1:
        raise InputError(
            f"{root} is not whole: expected {VIEWS} views of each of {OBJECTS} objects "
            f"(obj1__0.png to obj100__355.png); {', '.join(short[:3]) or 'got more'}."
        )
    order = sorted(path_of_view)
    paths = [path_of_view[view] for view in order]

    def decode():
        shape = (size, size, 3)
        return {"images": np.stack(files.every(lambda p: files.read(p, shape), paths))}

    key = cache.key(paths, "coil100", "pictures", size)
    pixels = cache.cached(key, ["images"], decode)["images"]
    return _dataset("coil100", pixels, np.array([number for number, _ in order]) - 1)


def _file(name, data_dir, file: str, size: int, note: str = "") -> Dataset:
    arrays = cache.load_npz(
        prepared.data_folder(data_dir) / "coil" / file, ["images", "object_id"]
    )
    numbers, labels = np.unique(arrays["object_id"], return_inverse=True)
    pixels = images.resize(arrays["images"], size)
    return _dataset(name, pixels, labels, numbers)._replace(note=note)


def _dataset(name: str, pixels, labels, numbers=None) -> Dataset:
    numbers = np.arange(1, labels.max() + 2) if numbers is None else numbers
    return Dataset(
        name,
        images=pixels,
        labels=labels.astype(np.int64),
        official_test=np.zeros(len(labels), bool),
        class_names=tuple(f"obj{number}" for number in numbers),
    )
