"""Arrays kept on disk, so that they are computed once.

`cached` keeps an uncompressed `.npz`: a zip archive, whose CRC-32 of every array is
compared on reading. A damaged file is therefore noticed, and made anew.
"""

import contextlib
import functools
import hashlib
import math
import os
import pathlib
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import IO

import numpy as np
from absl import logging

from ocjax import _files
from ocjax._checks import InputError

Arrays = dict[str, np.ndarray]
_PIECE = 1 << 20  # Bytes that are written together.


def folder() -> pathlib.Path | None:
    """Folder `$OCJAX_CACHE`, else `$XDG_CACHE_HOME/ocjax`, else `~/.cache/ocjax`.

    It is None where no variable names it and no home folder is known.

    Raises:
      InputError: a variable names no local folder.
    """
    for variable, below in (("OCJAX_CACHE", ""), ("XDG_CACHE_HOME", "ocjax")):
        if chosen := os.environ.get(variable):
            return _files.local(chosen, variable) / below
    try:
        return pathlib.Path.home() / ".cache" / "ocjax"
    except RuntimeError:
        return None


def fingerprint(paths: Iterable[pathlib.Path]) -> str:
    """Name of files as they are: other files have another, and so have changed ones.

    It depends on where they lie, not on how that is spelled, and on what the file
    system says of each: times alone may be those of an archive that was unpacked.
    """
    real = functools.cache(os.path.realpath)
    stamps = []
    for path in map(pathlib.Path, paths):
        stat = path.stat()
        times = stat.st_mtime_ns, stat.st_ctime_ns
        place = os.fsencode(real(path.parent)), os.fsencode(path.name)
        stamps.append((place, stat.st_dev, stat.st_ino, stat.st_size, times))
    return hashlib.sha256(repr(stamps).encode()).hexdigest()[:16]


def key(paths: Iterable[pathlib.Path], *parts: object) -> str:
    """Key of arrays that are made of files: `parts`, then the files' `fingerprint`."""
    return "-".join([*map(str, parts), fingerprint(paths)])


def load_npz(path: pathlib.Path, names: Iterable[str]) -> Arrays:
    """Arrays of an `.npz` file that a user brings.

    Raises:
      InputError: there is no such file, or it lacks an array or is damaged.
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
    """Returns the arrays of `key`, read from the cache or made and kept there.

    Trouble with the cache costs time and a warning, never the arrays.

    Args:
      key: a file name without suffix that names everything the arrays depend on.
      names: names of the arrays, since the zip's directory has no checksum and could
        lose one.
      make: function that computes the arrays, none of them of dtype object.
    """
    path = _path(f"{key}.npz")
    if path is None:
        return make()
    try:
        return _read(path, names)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except Exception as error:  # A flipped bit surfaces as almost any of them.
        logging.warning("Cannot read %s (%s); making it anew.", path, error)
    arrays = make()
    try:
        with _writing(path) as file:
            np.savez(file, allow_pickle=False, **arrays)
    except OSError as error:
        _warn(path, error)
    return arrays


def mapped(
    key: str, shape: tuple[int, ...], fill: Callable[[np.ndarray], None]
) -> np.ndarray:
    """Returns the `uint8` array of `key`, on disk, in memory only where it is read.

    It may be larger than the memory. There is no checksum: to compare it would read
    everything. Where the disk does not take it, it is made in memory, with a warning.

    Args:
      key: a file name without suffix that names everything the array depends on.
      shape: shape of the array.
      fill: function that writes into an array of zeros of that shape.

    Raises:
      InputError: neither the disk nor the memory has room for it.
    """
    path = _path(f"{key}.npy")
    if path is None:
        return _in_memory(shape, fill)
    try:
        return _map(path, shape)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError, EOFError) as error:
        logging.warning("Cannot read %s (%s); making it anew.", path, error)
    try:
        with _writing(path) as file:
            array = _reserve(file, shape)
            fill(array)
            array.flush()
        return _map(path, shape)
    except OSError as error:
        _warn(path, error)
    return _in_memory(shape, fill)


def _path(name: str) -> pathlib.Path | None:
    """File in which arrays of the name are kept, if there is a cache."""
    root = folder()
    if root is None:
        logging.warning("No cache: no home folder is known; set OCJAX_CACHE.")
        return None
    return root / "datasets" / name


def _warn(path: pathlib.Path, error: OSError) -> None:
    logging.warning(
        "Cannot keep %s (%s); next time will be slow too. OCJAX_CACHE names another "
        "folder.",
        path,
        error,
    )


def _read(path: pathlib.Path, names: Iterable[str]) -> Arrays:
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in names}


def _map(path: pathlib.Path, shape: tuple[int, ...]) -> np.ndarray:
    """Maps the array in a file; raises `ValueError` where it is another."""
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.shape != shape or array.dtype != np.uint8 or not array.flags.c_contiguous:
        raise ValueError(f"expected uint8 {shape}, got {array.dtype} {array.shape}")
    return array


@contextlib.contextmanager
def _writing(path: pathlib.Path) -> Iterator[IO[bytes]]:
    """Opens a file that becomes `path` when it is whole, locked while it is written."""
    with _files.replacing(path) as temporary, open(temporary, "x+b") as file:
        _lock(file)
        for other in filter(_files.is_temporary, path.parent.iterdir()):
            if other != temporary:
                _remove_abandoned(other)
        yield file
        file.flush()


def _lock(file: IO[bytes]) -> bool:
    """Locks a file; False where another writes it or locks are unknown."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):  # Not every system and file system has locks.
        return False
    return True


def _remove_abandoned(path: pathlib.Path) -> None:
    """Removes what a killed process left half written."""
    # Another process may remove it first.
    with contextlib.suppress(OSError), open(path, "r+b") as file:
        if _lock(file):
            path.unlink()


def _reserve(file: IO[bytes], shape: tuple[int, ...]) -> np.memmap:
    """Writes zeros to a file, as `np.save` does, and takes their room on the disk.

    A page of a map that finds no room later would end the process.
    """
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    start, size = file.tell(), math.prod(shape)
    if hasattr(os, "posix_fallocate"):
        file.flush()
        os.posix_fallocate(file.fileno(), 0, start + size)
    else:
        for begin in range(0, size, _PIECE):
            file.write(bytes(min(_PIECE, size - begin)))
        file.flush()
    return np.memmap(file, np.uint8, "r+", start, shape)


def _in_memory(
    shape: tuple[int, ...], fill: Callable[[np.ndarray], None]
) -> np.ndarray:
    size, room = math.prod(shape), _room()
    if size > room:
        raise InputError(
            f"An array of {size / 1e9:.1f} GB needs a place on a disk, and there are "
            f"{room / 1e9:.1f} GB of memory: set OCJAX_CACHE to a folder with room."
        )
    array = np.zeros(shape, np.uint8)
    fill(array)
    return array


def _room() -> float:
    """Bytes of memory that are available, as far as Linux and its groups say."""
    room = math.inf
    with contextlib.suppress(OSError):
        table = pathlib.Path("/proc/meminfo").read_text()
        if match := re.search(r"^MemAvailable:\s*(\d+) kB", table, re.MULTILINE):
            room = int(match[1]) * 1024
    with contextlib.suppress(OSError, ValueError):  # "max": no limit.
        limit = pathlib.Path("/sys/fs/cgroup/memory.max").read_text()
        room = min(room, int(limit))
    return room
