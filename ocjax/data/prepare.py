"""Preparation of a data set with TFDS, once.

    python -m ocjax.data.prepare mnist --data_dir=DIR
    python -m ocjax.data.prepare gtsrb --data_dir=DIR

The first needs TensorFlow and the network. The second needs neither, but the original
folder `DIR/downloads/manual/GTSRB`.
"""

import importlib.util
import pathlib
import sys
from collections.abc import Sequence

from absl import app, flags

from ocjax import _checks, _extras
from ocjax.data import prepared
from ocjax.data.sources import signs

NAMES = (*prepared.NAMES, "coil100", "gtsrb")


def main(argv: Sequence[str]) -> int:
    """Prepares the one data set that `argv` names; returns the exit status."""
    try:
        if len(argv) != 2:
            raise _checks.InputError(
                "Expected one data set: python -m ocjax.data.prepare "
                f"[{'|'.join(NAMES)}] [--data_dir=DIR]"
            )
        prepare(argv[1], flags.FLAGS.data_dir)
    except _checks.InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def prepare(name: str, data_dir: str | None) -> None:
    """Downloads a data set, or reads its original, and writes array_record files.

    Raises:
      InputError: the name is unknown, TensorFlow is needed and not installed, or the
        original is not whole.
    """
    _checks.one_of("data set", name, NAMES)
    folder = prepared.data_folder(data_dir)
    if name == "gtsrb":
        _gtsrb(folder)
        return
    if importlib.util.find_spec("tensorflow") is None:
        raise _checks.InputError(
            f"Preparing {name!r} needs TensorFlow: {_extras.install('prepare')}"
        )
    import tensorflow_datasets as tfds

    builder = tfds.builder(
        name,
        data_dir=str(folder),
        file_format="array_record",
    )
    builder.download_and_prepare()
    print(f"Prepared {builder.data_dir}")


def _gtsrb(folder: pathlib.Path) -> None:
    source = folder / "downloads" / "manual" / "GTSRB"
    if not source.is_dir():
        raise _checks.InputError(
            f"There is no folder {source}; expected {signs.LAYOUT} in it. GTSRB is at "
            f"{signs.WHERE}"
        )
    from ocjax.data.sources import builders

    builder = builders.Gtsrb(
        source=source, data_dir=str(folder), file_format="array_record"
    )
    builder.download_and_prepare()
    print(f"Prepared {builder.data_dir}")


if __name__ == "__main__":
    flags.DEFINE_string(
        "data_dir", None, "Folder to write to; $TFDS_DATA_DIR or ~/tensorflow_datasets."
    )
    app.run(main)
