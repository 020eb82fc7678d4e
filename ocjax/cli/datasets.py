"""List the data sets that can be named.

ocjax datasets
"""

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments: none."""
    del parser


def run(arguments: argparse.Namespace) -> int:
    """Prints a line for each data set: name and description."""
    del arguments
    from ocjax import data
    from ocjax.cli import texts
    from ocjax.data.sources.registry import UNTRIED
    from ocjax.data.sources.tfds import tfds

    for name, source in data.SOURCES.items():
        function = getattr(source, "func", source)  # One function has several names.
        line = (
            f"Images prepared by TFDS: ocjax prepare {name}"
            if function is tfds
            else texts.first_line(function)
        )
        untried = " (never run on the original data)" if name in UNTRIED else ""
        print(f"{name:19} {line}{untried}")
    return 0
