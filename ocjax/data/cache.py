"""Arrays kept on disk, so that they are computed once.

What `cached` keeps is an uncompressed `.npz`: a zip archive, whose CRC-32 of every
array is compared on reading. A damaged file is therefore noticed, and made anew.
"""

import hashlib
import os
import pathlib
import zipfile
import zlib
from collections.abc import Callable, Iterable

import numpy as np
from absl import logging

from ocjax import _files
from ocjax._checks import InputError

Arrays = dict[str, np.ndarray]


def folder() -> pathlib.Path:
    """`$OCJAX_CACHE`, else `$XDG_CACHE_HOME/ocjax`, else `~/.cache/ocjax`."""
    if chosen := os.environ.get("OCJAX_CACHE"):
        return pathlib.Path(chosen).expanduser()
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return pathlib.Path(caches).expanduser() / "ocjax"


def fingerprint(paths: Iterable[pathlib.Path]) -> str:
    """A name for files as they are: others have another, and so have changed ones."""
    stats = [(str(path), path.stat()) for path in paths]
    stamps = [(path, stat.st_size, stat.st_mtime_ns) for path, stat in stats]
    return hashlib.sha256(repr(stamps).encode()).hexdigest()[:12]


def key(paths: Iterable[pathlib.Path], *parts: object) -> str:
    """A key of what is made of files: `parts` in order, then their `fingerprint`."""
    return "-".join([*map(str, parts), fingerprint(paths)])


def load_npz(path: pathlib.Path, names: Iterable[str]) -> Arrays:
    """Arrays of an `.npz` file that a user brings.

    Raises:
      InputError: there is no such file, or it lacks one of them or is damaged.
    """
    try:
        return _read(path, names)
    except FileNotFoundError:
        raise InputError(f"There is no file {path}.") from None
    except KeyError as error:
        raise InputError(f"{path}: {error.args[0]}") from error
    except (OSError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path} is no readable .npz file: {error}") from error


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


def mapped(
    key: str, shape: tuple[int, ...], fill: Callable[[np.ndarray], None]
) -> np.ndarray:
    """The `uint8` array of `key`, on disk, in memory only where it is looked at.

    It may be larger than the memory. There is no checksum: to compare it would read
    everything.

    Args:
      key: a file name without suffix that names everything the array depends on.
      shape: of the array.
      fill: writes into an array of zeros of that shape.

    Raises:
      OSError: the file cannot be written.
    """
    path = folder() / "datasets" / f"{key}.npy"
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
        if found.shape == shape and found.dtype == np.uint8:
            return found
    except FileNotFoundError:
        pass
    except (OSError, ValueError, EOFError) as error:
        logging.warning("Cannot read %s (%s); making it anew.", path, error)
    with _files.replacing(path) as temporary:
        array = np.lib.format.open_memmap(temporary, "w+", np.uint8, shape)
        fill(array)
        array.flush()
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _read(path: pathlib.Path, names: Iterable[str]) -> Arrays:
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in names}


def _write(path: pathlib.Path, arrays: Arrays) -> None:
    with _files.replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
