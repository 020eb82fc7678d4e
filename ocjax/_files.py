"""Paths that a user names, and files that are whole whenever they exist."""

import contextlib
import os
import pathlib
import re
import secrets
from collections.abc import Iterator

from ocjax._checks import InputError

_SUFFIX = ".tmp"


def local(path: str | os.PathLike, name: str = "the path") -> pathlib.Path:
    """A path that a user names, its `~` expanded.

    Args:
      path: of a file or a folder, there or not.
      name: what messages call it, such as "--workdir".

    Raises:
      InputError: it is of remote storage, such as "gs://bucket/run", has a zero byte,
        or begins with `~` where no home folder is known.
    """
    text = os.fspath(path)
    # One slash too: `pathlib` joins the two of a scheme.
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", text):
        raise InputError(
            f"Expected {name} on a local disk, got {text}: mount the storage, or copy "
            "the files."
        )
    if "\0" in text:
        raise InputError(f"Expected {name} without a zero byte, got {text!r}.")
    try:
        return pathlib.Path(text).expanduser()
    except RuntimeError:
        raise InputError(
            f"Expected {name} as a whole path, got {text}: no home folder is known "
            "that ~ could stand for."
        ) from None


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """A name to write to, that becomes `path` unless the block raises.

    The folder of `path` is made.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{_SUFFIX}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def is_temporary(path: pathlib.Path) -> bool:
    """Whether it is what a process that was killed in `replacing` has left."""
    return path.name.startswith(".") and path.name.endswith(_SUFFIX)
