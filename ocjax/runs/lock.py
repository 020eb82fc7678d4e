"""Locks that let one process at a time into a run folder."""

import errno
import fcntl
import json
import os
import pathlib
import platform
from typing import IO

from ocjax._checks import InputError

NAME = ".lock"
# Errors of file systems that have no locks of this kind.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class Lock:
    """A lock file that names its owner: host and process.

    The system releases it when the owner ends, in whatever way.
    """

    def __init__(self, folder: pathlib.Path):
        """Names the folder; the lock is not taken yet."""
        self._folder, self._path = folder, folder / NAME
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Keeps other processes out until `release`; the folder must be there.

        Raises:
          InputError: another process has the lock.
        """
        while self._file is None:
            file = open(self._path, "a+")
            if not _locked(file):
                with file:
                    owner = _owner(file)
                raise InputError(
                    f"{self._folder} is in use by process {owner.get('pid', '?')} on "
                    f"{owner.get('host', '?')}: wait for it, stop it, or name another "
                    "--workdir."
                )
            if _is_at(file, self._path):  # Its owner may have removed it meanwhile.
                _write(file, {"host": platform.node(), "pid": os.getpid()})
                self._file = file
            else:
                file.close()

    def release(self) -> None:
        """Lets other processes in, and removes the file."""
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            self._file.close()
            self._file = None


def _locked(file: IO[str]) -> bool:
    """Locks a file unless a living process has it; returns whether it did."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return not _lives(_owner(file))


def _lives(owner: dict) -> bool:
    """Whether a process may be alive; on other hosts nobody can know."""
    if owner.get("host") != platform.node():
        return bool(owner)
    try:
        os.kill(int(owner["pid"]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return int(owner["pid"]) != os.getpid()


def _owner(file: IO[str]) -> dict:
    """Host and process that a lock file names; {} where it names none."""
    file.seek(0)
    try:
        owner = json.loads(file.read())
    except ValueError:
        return {}
    return owner if isinstance(owner, dict) else {}


def _write(file: IO[str], owner: dict) -> None:
    file.seek(0)
    file.truncate()
    file.write(json.dumps(owner) + "\n")
    file.flush()


def _is_at(file: IO[str], path: pathlib.Path) -> bool:
    """Whether an open file still has a path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
