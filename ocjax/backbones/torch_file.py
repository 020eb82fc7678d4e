"""Reading of files that `torch.save` wrote, without PyTorch and without trusting them.

Such a file holds a pickle, and to unpickle is to run what the file says. The reader
here knows dictionaries, tensors and their storages; anything else that a file names is
refused before it is called. Both layouts are read: pickles one after another, then the
storages (PyTorch before 1.6), and a zip archive of one pickle and a file a storage.
"""

import collections
import io
import math
import pathlib
import pickle
import struct
import zipfile
from typing import IO, Any, NamedTuple

import ml_dtypes
import numpy as np

_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES = {
    "BFloat16Storage": ml_dtypes.bfloat16,
    "BoolStorage": np.bool_,
    "ByteStorage": np.uint8,
    "CharStorage": np.int8,
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "IntStorage": np.int32,
    "LongStorage": np.int64,
    "ShortStorage": np.int16,
}


class _Storage(NamedTuple):
    """Numbers in one row, which lie elsewhere in the file."""

    key: str
    dtype: np.dtype
    size: int


class _Tensor(NamedTuple):
    """A view of a storage; all but the storage counts elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Reads the tensors of a dictionary that `torch.save` wrote, by their names.

    Raises:
      ValueError: the file holds anything but a dictionary of tensors. Where it is
        damaged, almost any exception may be raised.
    """
    with open(path, "rb") as file:
        zipped = zipfile.is_zipfile(file)
        file.seek(0)
        return _from_archive(file) if zipped else _from_pickles(file)


def _from_pickles(file: IO[bytes]) -> dict[str, np.ndarray]:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if _Unpickler(file).load() != _MAGIC:
        raise ValueError("it does not begin as PyTorch's files do")
    _Unpickler(file).load()  # The second pickle is the version of the layout.
    system = _Unpickler(file).load()
    if not system["little_endian"]:
        raise ValueError("its numbers are big-endian")
    unpickler = _Unpickler(file)
    tensors = _named(unpickler.load())
    data = {}
    for key in _Unpickler(file).load():
        storage = unpickler.storages[key]
        (count,) = struct.unpack("<q", file.read(8))
        if count != storage.size:
            raise ValueError(f"a storage has {count} numbers, not {storage.size}")
        if (length := count * storage.dtype.itemsize) > size - file.tell():
            raise ValueError("it is cut short")
        data[key] = file.read(length)
    return {name: _array(tensor, data) for name, tensor in tensors.items()}


def _from_archive(file: IO[bytes]) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(file) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.filelist):
            raise ValueError("it is a compressed archive, which PyTorch does not write")
        pickled = [x for x in archive.namelist() if x.endswith("/data.pkl")]
        if len(pickled) != 1:
            raise ValueError("it is an archive of something else")
        folder = pickled[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist():
            if archive.read(f"{folder}byteorder") != b"little":
                raise ValueError("its numbers are big-endian")
        unpickler = _Unpickler(io.BytesIO(archive.read(pickled[0])))
        tensors = _named(unpickler.load())
        data = {key: archive.read(f"{folder}data/{key}") for key in unpickler.storages}
    return {name: _array(tensor, data) for name, tensor in tensors.items()}


def _named(content: Any) -> dict[str, _Tensor]:
    if not isinstance(content, dict) or not content:
        raise ValueError("it holds no dictionary of tensors")
    for name, value in content.items():
        if not isinstance(name, str):
            raise ValueError("a name in it is no text")
        if not isinstance(value, _Tensor):
            raise ValueError(f"{name[:80]!r} in it is no tensor")
    return content


def _array(tensor: _Tensor, data: dict[str, bytes]) -> np.ndarray:
    """Copies the numbers that a tensor views, which must lie inside its storage."""
    storage, offset, shape, strides = tensor
    count = len(data[storage.key]) // storage.dtype.itemsize
    last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    if math.prod(shape) and (last >= count or math.prod(shape) > count):
        raise ValueError(f"a tensor of shape {shape} exceeds its {count} numbers")
    width = storage.dtype.itemsize
    return np.ndarray(
        shape,
        storage.dtype,
        data[storage.key],
        offset * width,
        [s * width for s in strides],
    ).copy()


# Python's unpickler is used: C's takes memory by numbers that may be damaged.
class _Unpickler(pickle._Unpickler):
    """An unpickler for which dictionaries, tensors and storages are all there is."""

    def __init__(self, file: IO[bytes]):
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            # A new function is returned, since a pickle may set its attributes.
            return lambda *arguments: _tensor(*arguments)
        if module == "torch" and name in _DTYPES:
            return name
        name = f"{module}.{name}"[:80]
        raise ValueError(f"it asks for {name}, and only tensors are read")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, count, *view = pid
        if kind != "storage" or not isinstance(key, str) or any(view):
            raise ValueError("it refers to something that is no storage")
        storage = _Storage(key, np.dtype(_DTYPES[dtype]), _count(count))
        return self.storages.setdefault(key, storage)


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
    """Checks a file's description of a tensor."""
    if not isinstance(storage, _Storage):
        raise ValueError("a tensor in it has no storage")
    sizes, steps = map(_count, shape), map(_count, strides)
    return _Tensor(storage, _count(offset), tuple(sizes), tuple(steps))


def _count(number: Any) -> int:
    if type(number) is not int or number < 0:
        raise ValueError("a size in it is no count")
    return number
