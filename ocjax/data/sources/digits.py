"""Handwritten digits that come with scikit-learn."""

import importlib.util
import os
import pathlib

import numpy as np

from ocjax.data import images
from ocjax.data.dataset import Dataset


def digits(*, data_dir: str | os.PathLike | None, size: int) -> Dataset:
    """Reads the 1,797 handwritten digits of scikit-learn, 8x8 before resizing.

    They come without a test part. Here it is a fifth of each class, rounded down,
    drawn with the constant seed 0, and so the same in every run.

    References:
      Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998.
    """
    del data_dir
    # The file is found without importing scikit-learn, which takes seconds.
    spec = importlib.util.find_spec("sklearn")
    assert spec is not None and spec.submodule_search_locations is not None
    folder = pathlib.Path(spec.submodule_search_locations[0]) / "datasets" / "data"
    table = np.loadtxt(folder / "digits.csv.gz", np.int64, delimiter=",")
    flat, labels = table[:, :-1], table[:, -1]
    pixels = np.round(flat.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)  # 0..16
    rng = np.random.default_rng(0)
    official_test = np.zeros(len(labels), bool)
    for label in range(10):
        members = np.flatnonzero(labels == label)
        official_test[rng.permutation(members)[: len(members) // 5]] = True
    order = np.argsort(official_test, kind="stable")
    return Dataset(
        "digits",
        images=images.resize(pixels[order], size),
        labels=labels[order].astype(np.int64),
        official_test=official_test[order],
        class_names=tuple(map(str, range(10))),
    )
