"""Paths that a user names, and files that are whole whenever they exist."""

import contextlib
import os
import pathlib
import re
import secrets
import tempfile
from collections.abc import Collection, Iterator

from ocjax._checks import InputError, nearest

_SUFFIX = ".tmp"


def local(path: str | os.PathLike, name: str = "the path") -> pathlib.Path:
    """Returns a path that a user names, its `~` expanded.

    Args:
      path: file or folder, there or not.
      name: word for it in messages, such as "--workdir".

    Raises:
      InputError: the path is of remote storage, such as "gs://bucket/run", has a zero
        byte, or begins with `~` where no home folder is known.
    """
    text = os.fspath(path)
    # One slash is refused too: `pathlib` joins the two of a scheme.
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


def did_you_mean(path: str | os.PathLike) -> str:
    """End of a sentence that says that a path is not there.

    It names existing paths that differ in the first part that is missing.
    """
    path = pathlib.Path(path)
    missing = next((p for p in [*reversed(path.parents), path] if not p.exists()), None)
    if missing is None:
        return "."
    try:
        names = [entry.name for entry in missing.parent.iterdir()]
    except OSError:
        return "."
    rest = path.relative_to(missing)
    visible = [name for name in names if name[0] != "."]
    near = [missing.parent / n / rest for n in nearest(missing.name, visible, 0.6)]
    quoted = [repr(str(path)) for path in near if path.exists()]
    return f"; did you mean {' or '.join(quoted)}?" if quoted else "."


def output(
    path: str | os.PathLike,
    name: str,
    *,
    force: bool = False,
    sources: Collection[str | os.PathLike] = (),
) -> pathlib.Path:
    """Returns a file that can be written later; nothing is written yet.

    Args:
      path: name of the file, as a user gives it.
      name: word for it in messages, such as "--out".
      force: let it replace a file.
      sources: files that it must not replace.

    Raises:
      InputError: the path is no name of a file, is there already, or cannot be written.
    """
    file = local(path, name)
    if not file.name or str(path).endswith(os.sep) or file.is_dir():
        raise InputError(f"{name}={path}: expected the name of a file.")
    if file.exists() and not file.is_file():
        raise InputError(f"{name}={path}: expected a file, and this is none.")
    if file.exists() and any(os.path.samefile(file, source) for source in sources):
        raise InputError(f"{name}={path} is what is read: name another file.")
    if file.exists() and not force:
        raise InputError(f"{file} exists: name another file by {name}, or add --force.")
    check_writable(file.parent, f"{name}={path}")
    return file


def check_writable(folder: pathlib.Path, name: str) -> None:
    """Raises `InputError`, about `name`, unless files can be made in a folder.

    The folder itself may be missing, and is not made.
    """
    existing = next(p for p in [folder, *folder.parents] if os.path.lexists(p))
    try:
        if not existing.is_dir():
            raise NotADirectoryError(f"{existing} is no folder")
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{name} cannot be written: {reason}.") from error


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Gives a name to write to, that becomes `path` unless the block raises.

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
    """Whether a path is a rest of `replacing` in a process that was killed."""
    return path.name.startswith(".") and path.name.endswith(_SUFFIX)
