"""List the data sets that can be named.

ocjax datasets
"""

import argparse


def add(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments: none."""
    del parser


def run(arguments: argparse.Namespace) -> int:
    """Prints their names and what they are."""
    del arguments
    from ocjax import data
    from ocjax.cli import texts

    for name, source in data.SOURCES.items():
        prepared = hasattr(source, "func")  # Of TFDS, one function for all.
        line = (
            f"Images prepared by TFDS: ocjax prepare {name}"
            if prepared
            else texts.first_line(source)
        )
        print(f"{name:16} {line}")
    return 0
