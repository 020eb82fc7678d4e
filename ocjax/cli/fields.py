"""List the fields of a run, that train --set sets.

Those of a method are listed by ocjax methods METHOD.

  ocjax fields
"""

import argparse
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from ocjax.cli import texts, train


def add(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments: none."""
    del parser


def run(arguments: argparse.Namespace) -> int:
    """Prints a line for each."""
    del arguments
    from ocjax.runs.config import Execution, RunConfig

    for config in (RunConfig, Execution):
        for line in lines(config, defaults=train.DEFAULTS):
            print(line)
    return 0


def lines(
    config: type, prefix: str = "", defaults: Mapping[str, Any] | None = None
) -> Iterator[str]:
    """A line for each field of a configuration: name, default, and what it is.

    Args:
      config: a dataclass.
      prefix: of the names.
      defaults: those that are not the dataclass's.
    """
    text_of = texts.fields(config)
    defaults = defaults or {}
    for field in dataclasses.fields(config):
        if dataclasses.is_dataclass(field.default):
            yield from lines(type(field.default), f"{prefix}{field.name}.")
        else:
            default = defaults.get(field.name, field.default)
            yield f"{f'{prefix}{field.name}={default}':36} {text_of[field.name]}"
