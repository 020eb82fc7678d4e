"""Download a data set and prepare it for training, once.

ocjax prepare mnist --data_dir=data
"""

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("dataset", metavar="DATASET", help="such as mnist or cifar10")
    parser.add_argument(
        "--data_dir", help="folder to write to; by default ~/tensorflow_datasets"
    )


def run(arguments: argparse.Namespace) -> int:
    """Prepares it."""
    from ocjax.data.prepare import prepare

    prepare(arguments.dataset, arguments.data_dir)
    return 0
