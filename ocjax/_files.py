"""Files that are whole whenever they exist."""

import contextlib
import os
import pathlib
import secrets
from collections.abc import Iterator

_SUFFIX = ".tmp"


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
