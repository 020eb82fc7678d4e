"""Arguments that several commands have."""

import argparse


def add_model(parser: argparse.ArgumentParser) -> None:
    """Declares `--model`, and `add_rate`'s."""
    parser.add_argument(
        "--model", required=True, help="run folder, saved detector or exported file"
    )
    add_rate(parser)


def add_rate(parser: argparse.ArgumentParser) -> None:
    """Declares `--false_positive_rate`, for the threshold of a model."""
    parser.add_argument(
        "--false_positive_rate", type=float, help="instead of the model's"
    )
