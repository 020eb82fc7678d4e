"""Ends of commands: a user's mistake costs one line and no traceback."""

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar

from absl import flags, logging

from ocjax._checks import InputError
from ocjax.runs.display import say
from ocjax.runs.stop import Stopped

USER_ERROR, NOT_FINITE, SYSTEM_ERROR = 2, 3, 1
TRY_AGAIN = 75  # Status of sendmail's temporary failures.
# Statuses of shells: 128 and the number of the signal.
INTERRUPTED, PIPE_CLOSED = 130, 141
Result = TypeVar("Result")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_LONGEST = 2000  # Largest length of an error, which may quote values of a file.


def open_streams() -> None:
    """Opens standard streams that the caller has closed, so that they take anything.

    Else the next file that is opened has the number of a stream, and gets its text.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # The lowest number that is free.
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def fail(code: int, error: Exception | str) -> NoReturn:
    """Ends the process with one line about `error`."""
    with contextlib.suppress(OSError):
        _flush()
    text = " ".join(str(error).split())
    say(f"Error: {text if len(text) < _LONGEST else text[:_LONGEST] + '...'}")
    raise SystemExit(code)


def guarded(main: Callable[[Any], Result]) -> Callable[[Any], Result]:
    """Wraps `main` so that errors which are not the program's own cost one line."""

    def run(arguments):
        try:
            with _flushed():
                return main(arguments)
        except InputError as error:
            fail(USER_ERROR, error)
        except FloatingPointError as error:
            fail(NOT_FINITE, error)
        except Stopped as error:
            fail(INTERRUPTED if error.signal == signal.SIGINT else TRY_AGAIN, error)
        except KeyboardInterrupt:
            fail(INTERRUPTED, "Interrupted.")
        except OSError as error:
            hint = ": make room, and start the same command again."
            fail(SYSTEM_ERROR, f"{error}{hint if error.errno in _NO_ROOM else ''}")

    return run


def start(
    main: Callable[[Any], int | None],
    flags_parser: Callable[[list[str]], Any],
    argv: list[str] | None = None,
) -> None:
    """Runs a program to its end; Ctrl-C ends it with one line, whenever it comes.

    Args:
      main: function of the result of `flags_parser` that returns the exit status.
      flags_parser: function of the command line, with the program's name.
      argv: command line, by default that of the process.
    """
    from absl import app

    open_streams()
    try:
        with _flushed():
            app.run(main, argv=argv, flags_parser=flags_parser)
    except KeyboardInterrupt:
        fail(INTERRUPTED, "Interrupted.")
    except OSError as error:  # Errors of help; `guarded` tells the others.
        fail(SYSTEM_ERROR, error)


@contextlib.contextmanager
def _flushed() -> Iterator[None]:
    """Flushes standard output; ends quietly where nobody reads it any more."""
    try:
        try:
            yield
        finally:
            _flush()
    except BrokenPipeError:
        raise SystemExit(PIPE_CLOSED) from None


def _flush() -> None:
    try:
        sys.stdout.flush()
    except OSError:
        # Else the same text is tried again when the process ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def parse_flags(
    arguments: list[str], parsed: Callable[[], Result] = lambda: None
) -> Result:
    """Parses absl's flags; a mistake in them costs one line.

    Args:
      arguments: arguments of the command line, with the program's name.
      parsed: function that is called when flags are parsed, and reads them.
    """
    logging.set_verbosity(logging.WARNING)
    try:
        unknown = flags.FLAGS(arguments)[1:]
        if unknown:
            raise InputError(f"Unexpected argument {unknown[0]!r}: use --name=value.")
        return parsed()
    except (flags.Error, InputError, OSError) as error:
        fail(USER_ERROR, error)
