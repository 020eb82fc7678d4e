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

    for name, source in data.SOURCES.items():
        said = getattr(source, "__doc__", "") or ""
        prepared = hasattr(source, "func")  # Of TFDS, one function for all.
        line = "Images prepared by TFDS: ocjax prepare" if prepared else said
        print(f"{name:16} {line.splitlines()[0]}")
    return 0
