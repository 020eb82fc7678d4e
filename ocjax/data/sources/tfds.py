"""Data sets that TFDS prepares: MNIST, Fashion-MNIST and CIFAR-10."""

import os

import numpy as np

from ocjax.data import prepared
from ocjax.data.dataset import Dataset


def tfds(name: str, *, data_dir: str | os.PathLike | None, size: int) -> Dataset:
    """Reads a data set prepared by TFDS, its two parts pooled."""
    folder = prepared.find(name, data_dir)
    train, test = (prepared.read(folder, part, size) for part in ("train", "test"))
    counts = len(train["labels"]), len(test["labels"])
    return Dataset(
        name,
        images=np.concatenate([train["images"], test["images"]]),
        labels=np.concatenate([train["labels"], test["labels"]]),
        official_test=np.repeat([False, True], counts),
        class_names=tuple(train["class_names"].tolist()),
    )
