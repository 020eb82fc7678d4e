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
    from ocjax.data.sources.registry import UNTRIED

    for name, source in data.SOURCES.items():
        prepared = hasattr(source, "func")  # Of TFDS, one function for all.
        line = (
            f"Images prepared by TFDS: ocjax prepare {name}"
            if prepared
            else texts.first_line(source)
        )
        untried = " (never run on the original data)" if name in UNTRIED else ""
        print(f"{name:16} {line}{untried}")
    return 0
