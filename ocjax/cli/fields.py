"""List the fields of a run, which train --set changes.

Fields of a method are listed by ocjax methods METHOD.

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
    """Prints a line for each field."""
    del arguments
    from ocjax.runs.config import Execution, RunConfig

    for config in (RunConfig, Execution):
        for line in lines(config):
            print(line)
    return 0


def lines(config: type, prefix: str = "") -> Iterator[str]:
    """Lines of a configuration, one a field: name, default and description.

    Args:
      config: dataclass.
      prefix: prefix of the names.
    """
    descriptions = texts.fields(config)
    for field in dataclasses.fields(config):
        name = f"{prefix}{field.name}"
        if dataclasses.is_dataclass(field.default):
            yield from lines(type(field.default), f"{name}.")
        else:
            yield f"{f'{name}={field.default}':36} {descriptions[field.name]}"
