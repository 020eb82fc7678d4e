"""Arrays kept on disk, so that they are computed once.

A cached file is an uncompressed `.npz`: a zip archive, whose CRC-32 of every array
is compared on reading. A damaged file is therefore noticed, and made anew.
"""

import os
import pathlib
import tempfile
from collections.abc import Callable, Iterable

import numpy as np
from absl import logging

Arrays = dict[str, np.ndarray]


def folder() -> pathlib.Path:
    """`$OCJAX_CACHE`, else `$XDG_CACHE_HOME/ocjax`, else `~/.cache/ocjax`."""
    if chosen := os.environ.get("OCJAX_CACHE"):
        return pathlib.Path(chosen).expanduser()
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return pathlib.Path(caches).expanduser() / "ocjax"


def cached(key: str, names: Iterable[str], make: Callable[[], Arrays]) -> Arrays:
    """The arrays of `key`: read from the cache, or made and kept there.

    Trouble with the cache costs time and a warning, never the arrays.

    Args:
      key: a file name without suffix that names everything the arrays depend on.
      names: of the arrays; asked for by name, since the zip's directory, alone, has
        no checksum and could lose one.
      make: computes the arrays, none of them of dtype object.
    """
    path = folder() / "datasets" / f"{key}.npz"
    try:
        return _read(path, names)
    except FileNotFoundError:
        pass
    except Exception as error:  # A flipped bit surfaces as almost any of them.
        logging.warning("Cannot read %s (%s); making it anew.", path, error)
    arrays = make()
    try:
        _write(path, arrays)
    except OSError as error:
        logging.warning("Cannot keep %s (%s); next time will be slow too.", path, error)
    return arrays


def _read(path: pathlib.Path, names: Iterable[str]) -> Arrays:
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in names}


def _write(path: pathlib.Path, arrays: Arrays) -> None:
    """Writes under a temporary name first: `path` is complete whenever it exists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(".tmp", path.stem, path.parent)
    try:
        with open(descriptor, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
