"""Inspection benchmarks by name, each in the layout in which it is published.

A category is a data set of its own: good pictures train, and those of the published
test part test. Nothing is downloaded. `reading` are options of `folder`: `fit` and
`skip_unreadable`.
"""

import csv
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from ocjax._checks import InputError
from ocjax.data import prepared
from ocjax.data.dataset import Dataset
from ocjax.data.entries import GOOD, Entry
from ocjax.data.layout import Layout
from ocjax.data.sources.folder import folder, laid_out

MVTEC_AD = (
    "bottle", "cable", "capsule", "carpet", "grid", "hazelnut", "leather", "metal_nut",
    "pill", "screw", "tile", "toothbrush", "transistor", "wood", "zipper",
)  # fmt: skip
VISA = (
    "candle", "capsules", "cashew", "chewinggum", "fryum", "macaroni1", "macaroni2",
    "pcb1", "pcb2", "pcb3", "pcb4", "pipe_fryum",
)  # fmt: skip
BTAD = ("01", "02", "03")
_TABLE = "split_csv/1cls.csv"


def mvtec_ad(
    category: str,
    *,
    data_dir: str | os.PathLike | None,
    size: int,
    **reading: Any,
) -> Dataset:
    """A category of MVTec AD, looked for in `<data_dir>/mvtec_ad/CATEGORY`.

    References:
      Bergmann et al., MVTec AD: a comprehensive real-world dataset for unsupervised
      anomaly detection, 2019.
    """
    return _of_folders("mvtec_ad", category, data_dir, size, reading)


def btad(
    category: str,
    *,
    data_dir: str | os.PathLike | None,
    size: int,
    **reading: Any,
) -> Dataset:
    """A product of BTAD, looked for in `<data_dir>/btad/PRODUCT`.

    References:
      Mishra et al., VT-ADL: a vision transformer network for image anomaly detection
      and localization, 2021.
    """
    return _of_folders("btad", category, data_dir, size, reading)


def visa(
    category: str,
    *,
    data_dir: str | os.PathLike | None,
    size: int,
    **reading: Any,
) -> Dataset:
    """A category of VisA, looked for in `<data_dir>/visa`, in its one-class division.

    The division is that of `split_csv/1cls.csv`, pictures and masks are where it says.

    References:
      Zou et al., SPot-the-difference self-supervised pre-training for anomaly detection
      and segmentation, 2022.
    """
    root = _root("visa", data_dir)
    rows = [row for row in _rows(root / _TABLE) if row["object"] == category]
    if not rows:
        raise InputError(f"{root / _TABLE} has no pictures of {category}.")
    pictures = [_entry(root, row) for row in rows]
    name = f"visa/{category}"
    layout = Layout(pictures, alone=False)
    return laid_out(root, layout, size, name, **reading)


def _of_folders(
    benchmark: str,
    category: str,
    data_dir: str | os.PathLike | None,
    size: int,
    reading: Mapping[str, Any],
) -> Dataset:
    return folder(
        data_dir=_root(benchmark, data_dir) / category,
        size=size,
        name=f"{benchmark}/{category}",
        **reading,
    )


def _root(benchmark: str, data_dir: str | os.PathLike | None) -> pathlib.Path:
    root = prepared.data_folder(data_dir) / benchmark
    if not root.is_dir():
        raise InputError(f"There is no folder {root}: unpack {benchmark} there.")
    return root


def _rows(table: pathlib.Path) -> list[dict[str, str]]:
    columns = ["object", "split", "label", "image", "mask"]
    try:
        with open(table, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows, names = [*reader], reader.fieldnames
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{table} cannot be read: {error}.") from error
    if names != columns or any(None in row.values() for row in rows):
        raise InputError(f"{table}: expected the columns {', '.join(columns)}.")
    return rows


def _entry(root: pathlib.Path, row: dict[str, str]) -> Entry:
    good = row["label"] == "normal"
    mask = None if good or not row["mask"] else root / row["mask"]
    kind = GOOD if good else row["label"]
    return Entry(root / row["image"], kind, row["split"] == "test", mask=mask)
