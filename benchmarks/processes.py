"""Fresh processes of Python, timed and with their largest memory."""

import os
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

REPOSITORY = pathlib.Path(__file__).parent.parent


class Run(NamedTuple):
    """A finished process."""

    seconds: float  # From start to end.
    peak: float  # Largest resident memory, MiB.
    output: str


def run(*arguments: str, **environment: str) -> Run:
    """Runs Python with `arguments` and waits for it.

    On Linux a process inherits the peak memory of the one that starts it, so this
    one stays small: it imports nothing that it measures.
    """
    with tempfile.TemporaryFile("w+") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=REPOSITORY,
            env=os.environ | environment,
            stdout=output,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, process.args)
        output.seek(0)
        return Run(seconds, usage.ru_maxrss / 1024, output.read())
