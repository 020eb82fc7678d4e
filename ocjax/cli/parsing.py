"""Parser of commands, whose errors are one line with the nearest names."""

import argparse
from collections.abc import Collection
from typing import Any, NoReturn

from ocjax._checks import did_you_mean


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong in one line, without the usage."""

    # Fields of --set, which users may take for flags.
    settable: Collection[str] = ()

    def error(self, message: str) -> NoReturn:
        """Ends the process with the message."""
        message = " ".join(message.split())
        end = "" if message.endswith(("?", ".")) else "."
        self.exit(2, f"Error: {message}{end} See: {self.prog} --help\n")

    def parse_known_args(self, args=None, namespace=None):  # pyright: ignore
        """Parses; unknown flags come first, as they explain what is missing."""
        for text in args or ():
            name = text.partition("=")[0]
            if text == "--" or (self._subparsers and not text.startswith("-")):
                break  # The command's own parser has the rest.
            if text.startswith("--") and " " not in name:
                self._check_flag(name)
        return super().parse_known_args(args, namespace)

    def _check_flag(self, flag: str) -> None:
        flags = [name for action in self._actions for name in action.option_strings]
        if flag in flags:
            return
        field = flag.removeprefix("--").removeprefix("config.")
        if field in self.settable:
            self.error(f"Unknown flag {flag}: write --set {field}=VALUE")
        self.error(f"Unknown flag {flag}{did_you_mean(flag, flags)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        name = (*action.option_strings, str(action.metavar).lower())[0].lstrip("-")
        choices = [*map(str, action.choices)]
        self.error(
            f"Unknown {name} {value!r}: expected one of {', '.join(choices)}"
            f"{did_you_mean(value, choices)}"
        )
