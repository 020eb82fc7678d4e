"""List the fields of a run, that train --set sets.

Those of a method are listed by ocjax methods METHOD.

  ocjax fields
"""

import argparse
import dataclasses
from collections.abc import Iterator

from ocjax.cli import texts


def add(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments: none."""
    del parser


def run(arguments: argparse.Namespace) -> int:
    """Prints a line for each."""
    del arguments
    from ocjax.runs.config import Execution, RunConfig

    for config in (RunConfig, Execution):
        for line in lines(config):
            print(line)
    return 0


def lines(config: type, prefix: str = "") -> Iterator[str]:
    """A line for each field of a configuration: name, default, and what it is.

    Args:
      config: a dataclass.
      prefix: of the names.
    """
    text_of = texts.fields(config)
    for field in dataclasses.fields(config):
        name = f"{prefix}{field.name}"
        if dataclasses.is_dataclass(field.default):
            yield from lines(type(field.default), f"{name}.")
        else:
            yield f"{f'{name}={field.default}':36} {text_of[field.name]}"
