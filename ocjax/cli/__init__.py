"""The `ocjax` command: one entry point, a file for each of its commands.

A command is a module with a docstring, whose first line is its help; `add(parser)`,
that declares its arguments; and `run(arguments)`, that returns the exit status.
Commands import what they need when they run, so that help comes at once.
"""

import argparse
import importlib
import sys
from collections.abc import Collection, Sequence

COMMANDS = (
    "train",
    "compare",
    "score",
    "evaluate",
    "report",
    "export",
    "serve",
    "prepare",
    "methods",
    "fields",
    "datasets",
)


def main() -> None:
    """Runs the command of the command line; ends the process."""
    from ocjax.cli import exits

    exits.open_streams()
    sys.stdout.reconfigure(errors="surrogateescape")  # pyright: ignore
    exits.start(_run, _parse, sys.argv)


def parser(declared: Collection[str] = COMMANDS) -> argparse.ArgumentParser:
    """Makes the parser of all commands.

    Args:
      declared: commands whose arguments are declared too, which takes imports.
    """
    from ocjax import __version__
    from ocjax.cli import arguments, parsing, texts

    root = parsing.Parser(
        prog="ocjax",
        description="One-class image anomaly detection: train on normal images, score "
        "anything, know when to trust the score.",
        epilog="ocjax COMMAND --help tells more, with an example.",
        allow_abbrev=False,
    )
    root.add_argument("--version", action="version", version=f"ocjax {__version__}")
    arguments.add_completion(root)
    commands = root.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = importlib.import_module(f"ocjax.cli.{name}")
        first, _, rest = texts.docstring(module).partition("\n")
        command = commands.add_parser(
            name,
            help=first.rstrip("."),
            description=first,
            epilog=rest.strip(),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,  # Else a mistake is taken for a flag.
        )
        if name in declared:
            module.add(command)
        command.set_defaults(run=module.run)
    return root


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    from absl import flags, logging

    flags.FLAGS(argv[:1])  # Flags of absl keep their defaults.
    logging.set_verbosity(logging.WARNING)
    command = next((text for text in argv[1:] if not text.startswith("-")), None)
    completes = any(text.startswith("--print_completion") for text in argv[1:])
    declared = COMMANDS if completes else (command,) if command else ()
    return parser(declared).parse_args(argv[1:])


def _run(arguments: argparse.Namespace) -> int | None:
    from ocjax.cli import exits
    from ocjax.runs import environment

    environment.keep_programs()
    return exits.guarded(arguments.run)(arguments)
