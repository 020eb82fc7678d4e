"""The `ocjax` command: one entry point, a file for each of its commands.

A command is a module with a docstring, whose first line is its help; `add(parser)`,
that declares its arguments; and `run(arguments)`, that returns the exit status. What a
command imports, it imports when it runs, so that help comes at once.
"""

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn

COMMANDS = (
    "train",
    "score",
    "evaluate",
    "report",
    "export",
    "serve",
    "prepare",
    "methods",
    "datasets",
)


def main() -> None:
    """Runs what the command line says; ends the process."""
    from ocjax.launch import exits

    exits.start(_run, _parse, sys.argv)


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    import shtab
    from absl.flags import argparse_flags

    class Parser(argparse_flags.ArgumentParser):
        def error(self, message: str) -> NoReturn:  # Without the usage: one line.
            self.exit(2, f"Error: {message}. See: {self.prog} --help\n")

    root = Parser(
        prog="ocjax",
        description="One-class image anomaly detection: train on normal images, score "
        "anything, know when to trust the score.",
        epilog="ocjax COMMAND --help tells more, with an example.",
        inherited_absl_flags=None,
    )
    shtab.add_argument_to(
        root, "--print_completion", help="print completion for this shell"
    )
    commands = root.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = importlib.import_module(f"ocjax.cli.{name}")
        first, _, rest = (module.__doc__ or "").partition("\n")
        own = commands.add_parser(
            name,
            help=first.rstrip("."),
            description=first,
            epilog=rest.strip(),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,  # Or a mistake is taken for a flag.
            inherited_absl_flags=None,
        )
        module.add(own)
        own.set_defaults(run=module.run)
    return root


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    from absl import flags, logging

    flags.FLAGS(argv[:1])  # Those of absl, which keep their defaults.
    logging.set_verbosity(logging.WARNING)
    return parser().parse_args(argv[1:])


def _run(arguments: argparse.Namespace) -> int | None:
    from ocjax.launch import environment, exits

    environment.keep_programs()
    return exits.guarded(arguments.run)(arguments)
