"""Prepares a data set with TFDS, once; needs TensorFlow and the network.

python -m ocjax.data.prepare mnist --data_dir=DIR
"""

import importlib.util
import sys
from collections.abc import Sequence

from absl import app, flags

from ocjax import _checks
from ocjax.data import prepared


def main(argv: Sequence[str]) -> int:
    """Prepares the one data set that `argv` names; returns the exit status."""
    try:
        if len(argv) != 2:
            raise _checks.InputError(
                "Expected one data set: python -m ocjax.data.prepare "
                f"[{'|'.join(prepared.NAMES)}] [--data_dir=DIR]"
            )
        prepare(argv[1], flags.FLAGS.data_dir)
    except _checks.InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def prepare(name: str, data_dir: str | None) -> None:
    """Downloads a data set and writes it as array_record files.

    Raises:
      InputError: if the name is unknown or TensorFlow is not installed.
    """
    _checks.one_of("data set", name, prepared.NAMES)
    if importlib.util.find_spec("tensorflow") is None:
        raise _checks.InputError(
            f"Preparing {name!r} needs TensorFlow: pip install 'ocjax[prepare]'"
        )
    import tensorflow_datasets as tfds

    builder = tfds.builder(
        name,
        data_dir=str(prepared.data_folder(data_dir)),
        file_format="array_record",
    )
    builder.download_and_prepare()
    print(f"Prepared {builder.data_dir}")


if __name__ == "__main__":
    flags.DEFINE_string(
        "data_dir", None, "Where to; default $TFDS_DATA_DIR or ~/tensorflow_datasets."
    )
    app.run(main)
