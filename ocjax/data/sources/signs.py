"""German traffic signs (GTSRB): frames of tracks, each a drive past one sign.

Signs are cropped to the box that comes with each frame: rows Y1 to Y2 and columns X1 to
X2, ends included. Frames of a track are alike, so tracks are the groups of a split.

References:
  Stallkamp et al., Man vs. computer: Benchmarking machine learning algorithms for
  traffic sign recognition, 2012.
"""

import csv
import os
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ocjax._checks import InputError
from ocjax.data import cache, files, images, prepared
from ocjax.data.dataset import Dataset

CLASSES = 43
STOP = 14
ATTACKS = ("boundary", "fgsm", "bim", "deepfool")
LAYOUT = (
    "Final_Training/Images/00000/GT-00000.csv beside its frames, to 00042, and "
    "Final_Test/Images/GT-final_test.csv beside its own"
)
WHERE = "https://benchmark.ini.rub.de/gtsrb_dataset.html"


class Frame(NamedTuple):
    """A picture and its row of the table."""

    path: pathlib.Path
    box: tuple[int, int, int, int]  # X1, Y1, X2, Y2, ends included.
    label: int
    track: int  # Number of the track, -1 in the test part, where it is unknown.


def gtsrb(*, data_dir: str | os.PathLike | None, size: int) -> Dataset:
    """Reads the 43 classes of GTSRB, in colour; class 14 is the stop sign.

    The first of these in `<data_dir>` is read: `gtsrb/<version>`, as `python -m
    ocjax.data.prepare gtsrb` makes it; the official folders `GTSRB/Final_Training` and
    `GTSRB/Final_Test`; and `gtsrb/gtsrb32.npz`, a subset at 32x32.

    Raises:
      InputError: there is none of them, or it is not whole.
    """
    root = prepared.data_folder(data_dir)
    if any((root / "gtsrb").glob("*/dataset_info.json")):
        return _prepared(prepared.find("gtsrb", root), size)
    if (root / "GTSRB").is_dir():
        return _official(root / "GTSRB", size)
    if (root / "gtsrb" / "gtsrb32.npz").is_file():
        return _file(root / "gtsrb" / "gtsrb32.npz", size)
    raise InputError(
        f"Data set 'gtsrb' is not in {root}: looked for gtsrb/<version>, for GTSRB/ "
        f"with {LAYOUT}, and for gtsrb/gtsrb32.npz. It is at {WHERE}"
    )


def stop_signs(*, data_dir: str | os.PathLike | None, size: int) -> Dataset:
    """Reads clean stop signs, and attacked ones of four kinds, at 32x32.

    They are in `<data_dir>/stop_signs.npz`, which `python experiments/stop_signs.py`
    makes. Tracks are the groups of the training images.

    Raises:
      InputError: there is no such file, or the size is another.
    """
    path = prepared.data_folder(data_dir) / "stop_signs.npz"
    if not path.is_file():
        raise InputError(
            f"There is no file {path}; make it by python experiments/stop_signs.py "
            f"--data_dir=DIR --out={path.parent}, where DIR has GTSRB."
        )
    names = ["train", "clean", *ATTACKS]
    arrays = cache.load_npz(path, [*names, "train_groups"])
    if arrays["train"].shape[1] != size:
        raise InputError(
            f"`config.image_size` (={size}) must be {arrays['train'].shape[1]}, that "
            f"of {path}: resized, an attack would be another."
        )
    counts = [len(arrays[name]) for name in names]
    tests = np.arange(sum(counts)) >= counts[0]
    test_groups = arrays["train_groups"].max() + 1 + np.arange(tests.sum())
    return Dataset(
        "stop_signs",
        images=np.concatenate([arrays[name] for name in names]) * 2 - 1,
        labels=np.repeat([0, *range(len(ATTACKS) + 1)], counts),
        official_test=tests,
        class_names=("clean", *ATTACKS),
        groups=np.concatenate([arrays["train_groups"], test_groups]),
        note="Attacked by us, on a classifier of our own: not the images of LR-GDAN's "
        "Table 4 or of Deep SVDD, which are not public.",
    )


def frames(root: pathlib.Path, test: bool) -> Iterator[Frame]:
    """Yields the frames of one part of the official folder.

    Raises:
      InputError: a table or a picture that it names is missing, or a box is wrong.
    """
    if test:
        tables = [root / "Final_Test" / "Images" / "GT-final_test.csv"]
    else:
        train = root / "Final_Training" / "Images"
        tables = [train / f"{i:05d}" / f"GT-{i:05d}.csv" for i in range(CLASSES)]
    for table in tables:
        if not table.is_file():
            raise InputError(
                f"There is no {table}; expected {LAYOUT} in {root}. The labels of the "
                f"test part are in GTSRB_Final_Test_GT.zip at {WHERE}"
            )
        for number, row in enumerate(_rows(table), 2):
            try:
                box = [int(row[f"Roi.{end}"]) for end in ("X1", "Y1", "X2", "Y2")]
                label, name = int(row["ClassId"]), row["Filename"]
                track = -1 if test else int(name.split("_")[0])
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(
                    f"{table}, line {number}: expected Filename;Width;Height;Roi.X1;"
                    f"Roi.Y1;Roi.X2;Roi.Y2;ClassId, got {row}."
                ) from error
            if not 0 <= label < CLASSES:
                raise InputError(f"{table}, line {number}: there is no class {label}.")
            path = table.parent / name
            if not path.is_file():
                raise InputError(f"{table}, line {number}: there is no file {path}.")
            yield Frame(path, (box[0], box[1], box[2], box[3]), label, track)


def crop(frame: Frame) -> np.ndarray:
    """Reads the sign of a frame, `uint8 [Y2 - Y1 + 1, X2 - X1 + 1, 3]`.

    Raises:
      InputError: the picture cannot be read, or the box is not inside it.
    """
    picture = files.open_rgb(frame.path)
    height, width, _ = picture.shape
    x1, y1, x2, y2 = frame.box
    if not (0 <= x1 <= x2 < width and 0 <= y1 <= y2 < height):
        raise InputError(
            f"{frame.path}: the box with columns {x1} to {x2} and rows {y1} to {y2} is "
            f"not inside its {width} columns and {height} rows."
        )
    return picture[y1 : y2 + 1, x1 : x2 + 1]


def _rows(table: pathlib.Path) -> list[dict[str, str]]:
    return list(csv.DictReader(table.read_text().splitlines(), delimiter=";"))


def _official(root: pathlib.Path, size: int) -> Dataset:
    parts = [list(frames(root, test)) for test in (False, True)]
    all_frames = [*parts[0], *parts[1]]

    def resized(frame):
        return images.resize_one(crop(frame), size)

    def decode():
        return {"images": np.stack(files.every(resized, all_frames))}

    key = cache.key([frame.path for frame in all_frames], "gtsrb", "official", size)
    pixels = cache.cached(key, ["images"], decode)["images"]
    return _dataset(
        pixels,
        labels=np.array([frame.label for frame in all_frames]),
        tracks=np.array([frame.track for frame in all_frames]),
        tests=np.repeat([False, True], [len(part) for part in parts]),
        paths=[str(frame.path.relative_to(root)) for frame in all_frames],
    )


def _prepared(folder: pathlib.Path, size: int) -> Dataset:
    parts = [prepared.read(folder, part, size) for part in ("train", "test")]
    joined = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    counts = [len(part["labels"]) for part in parts]
    tests = np.repeat([False, True], counts)
    paths = joined["paths"].tolist()
    return _dataset(joined["images"], joined["labels"], joined["tracks"], tests, paths)


def _file(path: pathlib.Path, size: int) -> Dataset:
    names = [f"{part}_{field}" for part in ("train", "test") for field in _FIELDS]
    arrays = cache.load_npz(path, names)
    joined = {
        field: np.concatenate([arrays[f"train_{field}"], arrays[f"test_{field}"]])
        for field in _FIELDS
    }
    paths = joined["files"].tolist()
    tests = np.arange(len(paths)) >= len(arrays["train_files"])
    # Names such as 00014_00003_00012.png tell class, track and frame.
    train = [pathlib.PurePath(p).stem.split("_") for p in paths[: np.sum(~tests)]]
    tracks = np.array([int(stem[1]) for stem in train] + [-1] * int(tests.sum()))
    pixels = images.resize(joined["images"], size)
    note = "A subset: stop signs whole, 75 train and 20 test images of other classes."
    return _dataset(pixels, joined["labels"], tracks, tests, paths)._replace(note=note)


_FIELDS = ("images", "labels", "files")


def _dataset(pixels, labels, tracks, tests, paths) -> Dataset:
    # A track is of one class; each frame of the test part is a group of its own.
    alone = CLASSES * 10**6 + np.arange(len(labels))
    groups = np.where(tracks < 0, alone, labels.astype(np.int64) * 10**6 + tracks)
    names = [f"{number}" for number in range(CLASSES)]
    names[STOP] = "stop"
    return Dataset(
        "gtsrb",
        images=pixels,
        labels=labels.astype(np.int64),
        official_test=tests,
        class_names=tuple(names),
        groups=np.unique(groups, return_inverse=True)[1].astype(np.int64),
        paths=tuple(paths),
    )
