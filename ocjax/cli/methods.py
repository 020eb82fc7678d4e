"""List the methods, or the hyper-parameters of one.

ocjax methods lrgdan
"""

import argparse
import sys

from ocjax.cli import texts
from ocjax.cli.fields import lines
from ocjax.methods.registry import METHODS, NAMES


def add(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument(
        "method",
        nargs="?",
        choices=NAMES,
        metavar="METHOD",
        help="method whose fields are listed",
    )


def run(arguments: argparse.Namespace) -> int:
    """Prints the methods, or the fields of one."""
    if arguments.method is None:
        for name, (_, builder) in METHODS.items():
            print(f"{name:21} {texts.first_line(sys.modules[builder.__module__])}")
        return 0
    config, _ = METHODS[arguments.method]
    for line in lines(config, "hyper."):
        print(line)
    return 0
