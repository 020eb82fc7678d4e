"""Magnetic tiles with surface defects."""

import os
from typing import Any

from ocjax.data import prepared
from ocjax.data.dataset import Dataset
from ocjax.data.sources.folder import folder


def magnetic_tile(
    *, data_dir: str | os.PathLike | None, size: int, **reading: Any
) -> Dataset:
    """Surfaces of magnetic tiles, some with one of five kinds of defects.

    Looked for in `<data_dir>/magnetic_tile_native`, in the layout of MVTec AD: pictures
    of their own sizes, the good ones divided at random, four fifths of them to train.
    `reading` are options of `folder`: `fit` and `skip_unreadable`.

    References:
      Huang, Qiu and Yuan, Surface defect saliency of magnetic tile, 2020.
    """
    root = prepared.data_folder(data_dir) / "magnetic_tile_native"
    return folder(data_dir=root, size=size, name="magnetic_tile", **reading)
