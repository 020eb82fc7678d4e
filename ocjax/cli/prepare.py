"""Download a data set and prepare it for training, once.

ocjax prepare mnist --data_dir=data
"""

import argparse

from ocjax.cli import arguments as shared


def add(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument(
        "dataset", metavar="DATASET", help="data set, such as mnist or cifar10"
    )
    shared.completed(
        parser.add_argument(
            "--data_dir",
            help="folder to write to (default: $TFDS_DATA_DIR, else "
            "~/tensorflow_datasets)",
        )
    )


def run(arguments: argparse.Namespace) -> int:
    """Prepares the data set."""
    from ocjax import _files
    from ocjax.data.prepare import prepare

    data_dir = arguments.data_dir
    if data_dir is not None:
        data_dir = str(_files.local(data_dir, "--data_dir"))
    prepare(arguments.dataset, data_dir)
    return 0
