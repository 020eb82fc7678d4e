"""Data sets by name, as arrays.

A source gives `uint8` images and integer labels, the training and the official test
part pooled; a protocol (`ocjax.data.protocols`) decides which image is for what.
"""

import functools
import os
from typing import Any

from ocjax import _checks
from ocjax.data import fitting, prepared
from ocjax.data.dataset import Dataset
from ocjax.data.sources import (
    digits,
    faces,
    folder,
    inspection,
    magnetic_tile,
    objects,
    patches,
    signs,
    sounds,
    tfds,
)


def load(
    name: str,
    *,
    data_dir: str | os.PathLike | None = None,
    size: int = 32,
    fit: str = fitting.STRETCH,
    skip_unreadable: bool = False,
) -> Dataset:
    """Loads a data set; never downloads one.

    Args:
      name: a key of `SOURCES`.
      data_dir: where the data sets are, those of TFDS and others; by default
        `$TFDS_DATA_DIR`, else `~/tensorflow_datasets`. The digits need none; of
        "folder" it is the folder of pictures itself.
      size: height and width of the images, resized bilinearly.
      fit: how pictures in folders that are not square become so, one of
        `ocjax.data.fitting.FITS`.
      skip_unreadable: leave out files that cannot be read, with a warning.

    Returns:
      The whole data set, images of shape `[N, size, size, C]`.

    Raises:
      InputError: if the name is unknown, or the data set not there or not whole.
    """
    source = SOURCES[_checks.one_of("data set", name, SOURCES)]
    options: dict[str, Any] = {}
    if fit != fitting.STRETCH:
        options["fit"] = _checks.one_of("fit", fit, fitting.FITS)
    if skip_unreadable:
        options["skip_unreadable"] = True
    if options and name not in OF_FOLDERS:
        field = next(iter(options))
        raise _checks.InputError(
            f"`config.{field}` is for pictures in folders, not {name!r}."
        )
    return source(data_dir=data_dir, size=size, **options)


# Categories of inspection benchmarks, each a data set of its own.
_PARTS = [
    *((inspection.mvtec_ad, category) for category in inspection.MVTEC_AD),
    *((inspection.visa, category) for category in inspection.VISA),
    *((inspection.btad, product) for product in inspection.BTAD),
]
_INSPECTION = tuple(f"{source.__name__}/{part}" for source, part in _PARTS)
SOURCES = {
    "digits": digits.digits,
    **{name: functools.partial(tfds.tfds, name) for name in prepared.NAMES},
    "coil100": objects.coil100,
    "coil100_17": objects.coil100_17,
    "coil20": objects.coil20,
    "gtsrb": signs.gtsrb,
    "stop_signs": signs.stop_signs,
    "folder": folder.folder,
    "magnetic_tile": magnetic_tile.magnetic_tile,
    **{
        name: functools.partial(source, part)
        for name, (source, part) in zip(_INSPECTION, _PARTS, strict=True)
    },
    "replay_attack": faces.replay_attack,
    "casia_mfsd": faces.casia_mfsd,
    "uba": patches.uba,
    "dcase2017_task2": sounds.dcase2017_task2,
    "sound_scenes": sounds.sound_scenes,
}
# Those that can leave files out, and keep the aspect of pictures.
OF_FOLDERS = ("folder", "magnetic_tile", *_INSPECTION)
LARGER = OF_FOLDERS  # Those whose pictures are larger than a frozen network takes.
# Never run on the original data, which is licensed, not public or too large to have
# been at hand: tested on made files in its layout.
UNTRIED = (
    "coil100", "replay_attack", "casia_mfsd", "uba", "dcase2017_task2", *_INSPECTION
)  # fmt: skip
