"""Arguments that several commands have, and what their values may be."""

import argparse
import contextlib
from collections.abc import Callable

from ocjax import _extras


def add_model(parser: argparse.ArgumentParser) -> None:
    """Declares `--model`, and `add_rate`'s."""
    completed(
        parser.add_argument(
            "--model", required=True, help="run folder, saved detector or exported file"
        )
    )
    add_rate(parser)


def add_rate(parser: argparse.ArgumentParser) -> None:
    """Declares `--false_positive_rate`, for the threshold of a model."""
    parser.add_argument(
        "--false_positive_rate",
        type=fraction,
        metavar="RATE",
        help="that the threshold promises, between 0 and 1 (default: the model's)",
    )


def add_force(parser: argparse.ArgumentParser) -> None:
    """Declares `--force`."""
    parser.add_argument(
        "--force",
        action="store_true",
        help="replace files that exist (default: end before any work)",
    )


def add_completion(parser: argparse.ArgumentParser) -> None:
    """Declares `--print_completion`."""
    parser.add_argument(
        "--print_completion",
        action=_PrintCompletion,
        metavar="SHELL",
        help="print what makes bash, zsh or another shell complete the command",
    )


def completed(action: argparse.Action) -> None:
    """Lets shells complete the names of files as a value."""
    with contextlib.suppress(ImportError):  # Then there is no completion to print.
        import shtab

        vars(action)["complete"] = shtab.FILE


def at_least(least: int) -> Callable[[str], int]:
    """The type of whole numbers from `least` on."""

    def whole(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or value < least:
            raise argparse.ArgumentTypeError(
                f"expected a whole number of at least {least}, got {text}"
            )
        return value

    return whole


def fraction(text: str) -> float:
    """The type of numbers between 0 and 1."""
    try:
        value = float(text)
    except ValueError:
        value = None
    if value is None or not 0 < value < 1:
        raise argparse.ArgumentTypeError(
            f"expected a number between 0 and 1, got {text}"
        )
    return value


class _PrintCompletion(argparse.Action):
    """Prints a shell's completion of the command, and ends the process."""

    def __call__(self, parser, namespace, values, option_string=None):
        del namespace, option_string
        try:
            import shtab
        except ImportError:
            parser.error(f"Completion needs shtab: {_extras.install('completion')}")
        shell, shells = str(values), shtab.SUPPORTED_SHELLS
        if shell not in shells:
            parser.error(
                f"Unknown shell {shell!r}: expected one of {', '.join(shells)}"
            )
        print(shtab.complete(parser, shell))
        parser.exit()
