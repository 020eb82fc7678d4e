"""Several processes, on one machine or many, started by the same command."""

import dataclasses
import faulthandler
import os
import re
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn, TypeVar

from ocjax._checks import InputError
from ocjax.cli import exits
from ocjax.cli.exits import TRY_AGAIN
from ocjax.runs.display import say
from ocjax.training import processes

Result = TypeVar("Result")

LOST = (
    "Error: another process of this job ended, or cannot be reached. Start the same "
    "command again on all: it goes on from the last checkpoint."
)
WATCHED = "OCJAX_WATCHED"  # Variable of a process that another one watches.


@dataclasses.dataclass(frozen=True)
class Job:
    """Processes that share one work, and the number of this one.

    Attributes:
      coordinator: "host:port" of process 0; "auto" where the environment tells all; or
        None for a process alone.
      num_processes: count of all processes.
      process_id: number of this process, from 0 on.
    """

    coordinator: str | None = None
    num_processes: int | None = None
    process_id: int | None = None

    def check(self) -> None:
        """Raises `InputError`, about the flags, unless they describe a job."""
        coordinator = self.coordinator
        count, number = self.num_processes, self.process_id
        numbered = count is not None or number is not None
        if coordinator is None:
            if numbered:
                raise InputError(
                    "--num_processes and --process_id need a --coordinator."
                )
            return
        if coordinator != "auto":
            address = re.fullmatch(r"[^\s/]+:(\d{1,5})", coordinator)
            if address is None or not 0 < int(address[1]) < 2**16:
                raise InputError(
                    f"Expected --coordinator=host:port, or auto, got {coordinator!r}."
                )
        if coordinator == "auto" and not numbered:
            return
        if count is None or number is None:
            raise InputError("--coordinator needs --num_processes and --process_id.")
        if number >= count:
            raise InputError(
                f"`process_id` (={number}) must be below `num_processes` (={count})."
            )


ALONE = Job()


def run(job: Job, work: Callable[[], Result]) -> Result:
    """Does work as one process of a job, and returns its result.

    Raises:
      InputError: there is no such job.
    """
    job.check()
    if job.coordinator is None:
        return work()
    _watch()
    guarded = exits.guarded(lambda _: _joined(job, work))
    return _end_on_error(lambda: guarded(None))


def _joined(job: Job, work: Callable[[], Result]) -> Result:
    assert job.coordinator is not None
    try:
        processes.start(job.coordinator, job.num_processes, job.process_id)
    except ValueError as error:
        if job.coordinator != "auto":
            raise
        raise InputError(
            f"--coordinator=auto: the environment tells of no job ({error}): give "
            "host:port, --num_processes and --process_id."
        ) from error
    return work()


def _watch() -> None:
    """Runs this command in a child process, and says so if it loses the others.

    JAX aborts a process whose job has lost another one, and nothing in that process can
    say why. Returns in the child alone, which does the work.
    """
    if WATCHED in os.environ:
        _end_with_parent()
        return
    command = [sys.executable, *sys.orig_argv[1:]]
    child = subprocess.Popen(command, env=os.environ | {WATCHED: str(os.getpid())})
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: child.send_signal(number))
    code = child.wait()
    if code in (-signal.SIGABRT, 128 + signal.SIGABRT):
        say(LOST)
        code = TRY_AGAIN
    raise SystemExit(code if code >= 0 else 128 - code)


def _end_on_error(work: Callable[[], Result]) -> Result:
    """Does the work of one process of a job.

    A process that fails ends at once: JAX would have it wait for processes that wait
    for it.
    """
    try:
        return work()
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
    """Has this process end with the one that watches it, where the system can.

    JAX aborts it where others are lost: a line says so, in place of a dump.
    """
    faulthandler.disable()
    if sys.platform != "linux":
        return
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != int(os.environ[WATCHED]):
        os._exit(1)  # The parent ended before.
