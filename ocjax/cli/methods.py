"""List the methods, or the hyper-parameters of one.

ocjax methods lrgdan
"""

import argparse
import dataclasses
import sys


def add(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("method", nargs="?", metavar="METHOD", help="tell its fields")


def run(arguments: argparse.Namespace) -> int:
    """Prints them."""
    from ocjax import methods
    from ocjax._checks import one_of

    if arguments.method is None:
        for name, (_, builder) in methods.METHODS.items():
            module = sys.modules[builder.__module__]
            print(f"{name:14} {(module.__doc__ or '').splitlines()[0]}")
        return 0
    config, _ = methods.METHODS[one_of("method", arguments.method, methods.METHODS)]
    for field in dataclasses.fields(config):
        print(f"hyper.{field.name}={field.default}")
    return 0
