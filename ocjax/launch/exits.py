"""How commands end: a user's mistake costs one line and no traceback."""

import sys
from collections.abc import Callable
from typing import Any, NoReturn

from absl import flags, logging

from ocjax._checks import InputError
from ocjax.launch.display import say

USER_ERROR, NOT_FINITE, SYSTEM_ERROR = 2, 3, 1
TRY_AGAIN = 75  # As sendmail has it.


class Stopped(Exception):
    """Training was asked to stop, and saved its state."""


def fail(code: int, error: Exception | str) -> NoReturn:
    """Ends the process with one line about `error`."""
    sys.stdout.flush()
    say("Error: " + " ".join(str(error).split()))
    raise SystemExit(code)


def guarded(main: Callable[[Any], int | None]) -> Callable[[Any], int | None]:
    """`main`, but that errors which are not the program's own end it with one line."""

    def run(arguments):
        try:
            return main(arguments)
        except InputError as error:
            fail(USER_ERROR, error)
        except FloatingPointError as error:
            fail(NOT_FINITE, error)
        except Stopped as error:
            fail(TRY_AGAIN, error)
        except OSError as error:
            fail(SYSTEM_ERROR, error)

    return run


def parse_flags(
    arguments: list[str], check: Callable[[], object] = lambda: None
) -> list[str]:
    """Parses absl's flags; what is wrong with them is said in one line.

    Args:
      arguments: of the command line, with the program's name.
      check: looks at what was parsed: a configuration file that cannot be loaded is
        noticed only when it is read.
    """
    logging.set_verbosity(logging.WARNING)
    try:
        unknown = flags.FLAGS(arguments)[1:]
        check()
    except AttributeError as error:  # Of a ConfigDict: a KeyError within.
        if not isinstance(error.args[0], KeyError):
            raise
        fail(USER_ERROR, f"Unknown configuration field {error.args[0].args[0]}")
    except (flags.Error, InputError, TypeError, OSError) as error:
        fail(USER_ERROR, error)
    if unknown:
        fail(USER_ERROR, f"Unexpected argument {unknown[0]!r}: use --name=value.")
    return arguments[:1]
