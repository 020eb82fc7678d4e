"""Several processes, on one machine or many, started by the same command."""

import faulthandler
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from ocjax.cli.exits import TRY_AGAIN
from ocjax.runs.display import say
from ocjax.training import processes

LOST = (
    "Error: another process of this job ended, or cannot be reached. Start the same "
    "command again on all: it goes on from the last checkpoint."
)
WATCHED = "OCJAX_WATCHED"  # In the environment of a process that another one watches.


def watch() -> None:
    """Runs this command in a process of its own, and says so if it loses the others.

    JAX aborts a process whose job has lost another one, and nothing in that process can
    say why. Returns only in the process that shall do the work.
    """
    if WATCHED in os.environ:
        _end_with_parent()
        return
    command = [sys.executable, *sys.argv]
    child = subprocess.Popen(command, env=os.environ | {WATCHED: str(os.getpid())})
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: child.send_signal(number))
    code = child.wait()
    if code in (-signal.SIGABRT, 128 + signal.SIGABRT):
        say(LOST)
        code = TRY_AGAIN
    raise SystemExit(code if code >= 0 else 128 - code)


def end_on_error(work: Callable[[], None]) -> None:
    """Does the work of one process of a job.

    One that fails ends at once: JAX would have it wait for processes that wait for it.
    """
    try:
        work()
    except SystemExit as error:
        if error.code:
            _exit(error.code if isinstance(error.code, int) else 1)
        raise
    except BaseException as error:
        if processes.lost(error):
            say(LOST)
            _exit(TRY_AGAIN)
        traceback.print_exc()
        _exit(1)


def _exit(code: int) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _end_with_parent() -> None:
    """Where the system can, has this process end with the one that watches it.

    JAX aborts it where others are lost: that is told by a line, not by a dump.
    """
    faulthandler.disable()
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != int(os.environ[WATCHED]):
        os._exit(1)  # It ended before.
