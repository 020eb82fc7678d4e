"""Data sets by name, as arrays.

A source gives `uint8` images and integer labels, the training and the official test
part pooled; a protocol (`ocjax.data.protocols`) decides which image is for what.
"""

import functools
import importlib.util
import os
import pathlib

import numpy as np

from ocjax import _checks
from ocjax.data import faces, folder, images, objects, patches, prepared, signs, sounds
from ocjax.data.dataset import Dataset


def load(
    name: str,
    *,
    data_dir: str | os.PathLike | None = None,
    size: int = 32,
    skip_unreadable: bool = False,
) -> Dataset:
    """Loads a data set; never downloads one.

    Args:
      name: a key of `SOURCES`.
      data_dir: where the data sets are, those of TFDS and others; by default
        `$TFDS_DATA_DIR`, else `~/tensorflow_datasets`. The digits need none; of
        "folder" it is the folder of pictures itself.
      size: height and width of the images, resized bilinearly.
      skip_unreadable: leave out files that cannot be read, with a warning.

    Returns:
      The whole data set, images of shape `[N, size, size, C]`.

    Raises:
      InputError: if the name is unknown, or the data set not there or not whole.
    """
    source = SOURCES[_checks.one_of("data set", name, SOURCES)]
    if not skip_unreadable:
        return source(data_dir=data_dir, size=size)
    if name not in SKIPPING:
        raise _checks.InputError(
            f"`config.skip_unreadable` is for {' and '.join(SKIPPING)}, not {name!r}."
        )
    return source(data_dir=data_dir, size=size, skip_unreadable=True)


def digits(*, data_dir: str | os.PathLike | None, size: int) -> Dataset:
    """The 1,797 handwritten digits within scikit-learn, 8x8 before resizing.

    They come without a test part. Here it is a fifth of each class, rounded down,
    drawn with the constant seed 0: the same in every run.

    References:
      Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998.
    """
    del data_dir
    # Found without importing scikit-learn, which takes seconds.
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
        images.resize(pixels[order], size),
        labels[order].astype(np.int64),
        official_test[order],
        tuple(map(str, range(10))),
    )


def _tfds(name: str, *, data_dir: str | os.PathLike | None, size: int) -> Dataset:
    """A data set prepared by TFDS, its two parts pooled."""
    folder = prepared.find(name, data_dir)
    train, test = (prepared.read(folder, part, size) for part in ("train", "test"))
    counts = len(train["labels"]), len(test["labels"])
    return Dataset(
        name,
        np.concatenate([train["images"], test["images"]]),
        np.concatenate([train["labels"], test["labels"]]),
        np.repeat([False, True], counts),
        tuple(train["class_names"].tolist()),
    )


SOURCES = {
    "digits": digits,
    **{name: functools.partial(_tfds, name) for name in prepared.NAMES},
    "coil100": objects.coil100,
    "coil100_17": objects.coil100_17,
    "coil20": objects.coil20,
    "gtsrb": signs.gtsrb,
    "stop_signs": signs.stop_signs,
    "folder": folder.folder,
    "magnetic_tile": folder.magnetic_tile,
    "replay_attack": faces.replay_attack,
    "casia_mfsd": faces.casia_mfsd,
    "uba": patches.uba,
    "dcase2017_task2": sounds.dcase2017_task2,
    "sound_scenes": sounds.sound_scenes,
}
SKIPPING = ("folder", "magnetic_tile")  # Those that can leave files out.
