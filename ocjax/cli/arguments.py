"""Arguments that several commands have, and the types of their values."""

import argparse
import contextlib
from collections.abc import Callable
from typing import Any

from ocjax import _extras
from ocjax.runs import bounds


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
        type=number(float, bounds.SHARE),
        metavar="RATE",
        help="rate that the threshold promises, between 0 and 1 (default: the model's)",
    )


def add_force(parser: argparse.ArgumentParser) -> None:
    """Declares `--force`."""
    parser.add_argument(
        "--force",
        action="store_true",
        help="replace files that exist (default: end before any work)",
    )


def add_data_dir(parser: argparse.ArgumentParser) -> None:
    """Declares `--data_dir`, the folder of data sets."""
    completed(
        parser.add_argument(
            "--data_dir",
            metavar="DIR",
            help="folder of data sets (default: $TFDS_DATA_DIR, else "
            "~/tensorflow_datasets)",
        )
    )


def add_seed(parser: argparse.ArgumentParser, subject: str) -> None:
    """Declares `--seed`, the seed of a subject."""
    parser.add_argument(
        "--seed",
        type=number(int, bounds.SEED),
        metavar="N",
        default=0,
        help=f"seed of {subject} (default: %(default)s)",
    )


def add_job(parser: argparse.ArgumentParser) -> None:
    """Declares the flags of a job of several processes."""
    parser.add_argument(
        "--coordinator",
        metavar="HOST:PORT",
        help="address of process 0, or auto (default: one process)",
    )
    for name, text, least in (
        ("num_processes", "number of processes of the job", 1),
        ("process_id", "number of this process, from 0 on", 0),
    ):
        parser.add_argument(
            f"--{name}",
            type=number(int, bounds.Range(least)),
            metavar="N",
            help=f"{text} (default: none)",
        )


def add_completion(parser: argparse.ArgumentParser) -> None:
    """Declares `--print_completion`."""
    parser.add_argument(
        "--print_completion",
        action=_PrintCompletion,
        metavar="SHELL",
        help="print the script by which bash, zsh and others complete commands",
    )


def completed(action: argparse.Action) -> None:
    """Lets shells complete the names of files as a value."""
    with contextlib.suppress(ImportError):  # Without shtab nothing is printed.
        import shtab

        vars(action)["complete"] = shtab.FILE


def number(kind: type, bound: bounds.Range) -> Callable[[str], Any]:
    """Makes the type of numbers of a kind that a bound allows."""

    def read(text: str) -> Any:
        value = None
        with contextlib.suppress(ValueError):
            value = bounds.typed(kind, text)
        if value is None or not bound.allows(value):
            expected = bound.phrase(bounds.KINDS[kind], value)
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text}")
        return value

    return read


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
