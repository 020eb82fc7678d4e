"""Damage to files: of disks and wires, and what an attacker would write."""

import functools
import io
import json
import pathlib
import pickle
import struct
import zipfile
from collections.abc import Callable

import numpy as np

NUMBERS = (0, 1, -1, 2**31, 2**63, -(2**63), 10**400, 0.5, 1e308, float("nan"),
           float("inf"), True, None, "", "32", "\0", "a\nb", "x" * 200_000, [], {},
           [[1]], {"a": {}})  # fmt: skip


def bytes_damaged(content: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """(what was done, the content with it) of any file."""
    kinds = (flip, cut, zero, repeat, swap, noise, insert)
    kind = kinds[rng.integers(len(kinds))]
    return kind.__name__, kind(content, rng)


def flip(content: bytes, rng) -> bytes:
    """One bit, or some, turned."""
    array = np.frombuffer(content, np.uint8).copy()
    if len(array):
        places = rng.integers(len(array), size=int(rng.choice([1, 1, 2, 8, 64])))
        array[places] ^= np.uint8(1) << rng.integers(8, size=len(places), dtype="u1")
    return array.tobytes()


def cut(content: bytes, rng) -> bytes:
    """Without its end."""
    return content[: rng.integers(len(content) + 1)]


def _range(content: bytes, rng) -> tuple[int, int]:
    start = int(rng.integers(len(content) + 1))
    return start, min(len(content), start + int(2 ** rng.uniform(0, 14)))


def zero(content: bytes, rng) -> bytes:
    """A range of zeros in it, as of a sector never written."""
    start, end = _range(content, rng)
    return content[:start] + bytes(end - start) + content[end:]


def repeat(content: bytes, rng) -> bytes:
    """A block twice."""
    start, end = _range(content, rng)
    return content[:end] + content[start:]


def swap(content: bytes, rng) -> bytes:
    """Two blocks in each other's place."""
    (a, b), (c, d) = sorted([_range(content, rng), _range(content, rng)])
    b = min(b, c)
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def noise(content: bytes, rng) -> bytes:
    """A range of noise in it."""
    start, end = _range(content, rng)
    return content[:start] + rng.bytes(end - start) + content[end:]


def insert(content: bytes, rng) -> bytes:
    """Numbers that sizes and offsets should never be, over other bytes."""
    number = int(rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000]))
    four = struct.pack("<I" if rng.random() < 0.5 else ">I", number)
    start = int(rng.integers(len(content) + 1))
    return content[:start] + four + content[start + 4 :]


def json_damaged(content: bytes, rng) -> tuple[str, bytes]:
    """Another JSON file: a value, a name or a level is another."""
    value = json.loads(content)
    spots = list(_spots(value))
    holder, key = spots[rng.integers(len(spots))]
    kind = rng.choice(["value", "value", "value", "gone", "more", "deep", "twice"])
    if kind == "value":
        holder[key] = NUMBERS[rng.integers(len(NUMBERS))]
    elif kind == "gone":
        del holder[key]
    elif kind == "more":
        value = {**value, "more": 1} if isinstance(value, dict) else [*value, 1]
    elif kind == "deep":
        holder[key] = "@"
        nested = b"[" * 100_000 + b"]" * 100_000
        return "json deep", json.dumps(value).encode().replace(b'"@"', nested, 1)
    else:
        value = [value, value]
    return f"json {kind}", json.dumps(value).encode()


def _spots(value):
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(pairs):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _spots(inner)


def csv_damaged(content: bytes, rng) -> tuple[str, bytes]:
    """Another table: cells, columns or line ends are others."""
    lines = content.decode().splitlines()
    row = int(rng.integers(len(lines)))
    cells = lines[row].split(",")
    cell = int(rng.integers(len(cells)))
    others = ("", '"', "'", "\0", "a\nb", '"a\nb"', "../../etc/passwd", "/etc/passwd",
              "x" * 200_000, "nan", "-1", "1e999", "good", "GOOD", ".", "..", "~", "~x",
              "gs://a/b", "a" * 300, "\ud800".encode("utf-8", "surrogatepass"),
              b"\xff\xfe", "=1+1", "\u202e", ",,,")  # fmt: skip
    kind = rng.choice(["cell", "cell", "cell", "column", "ends", "twice", "utf16"])
    if kind == "cell":
        other = others[rng.integers(len(others))]
        other = other if isinstance(other, bytes) else other.encode()
        before = ",".join([*cells[:cell], ""]).encode()
        after = ",".join(["", *cells[cell + 1 :]]).encode()
        rows = [line.encode() for line in lines]
        rows[row] = before + other + after
        return "csv cell", b"\n".join(rows) + b"\n"
    if kind == "column":
        cut_ = [",".join(x for i, x in enumerate(y.split(",")) if i != cell)
                for y in lines]  # fmt: skip
        return "csv column", "\n".join(cut_).encode()
    if kind == "ends":
        end = ["\r", "\r\n", "\n\n", "\x0b", "\u2028"][rng.integers(5)]
        return "csv ends", end.join(lines).encode()
    if kind == "twice":
        return "csv twice", "\n".join([*lines, lines[row]]).encode()
    return "csv utf16", content.decode().encode("utf-16")


def zip_damaged(content: bytes, rng) -> tuple[str, bytes]:
    """Another zip archive, whole as such: its members are others."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    names = list(members)
    name, other = rng.choice(names, 2)
    kind = rng.choice(["member", "member", "member", "json", "swapped", "gone",
                       "outside", "twice", "deflated", "claims", "bomb",
                       "shape"])  # fmt: skip
    if kind == "member":
        what, members[name] = bytes_damaged(members[name], rng)
        kind = f"member {what}"
    elif kind == "json":
        plain = [x for x in names if x.endswith(".json")]
        name = plain[rng.integers(len(plain))]
        what, members[name] = json_damaged(members[name], rng)
        kind = what
    elif kind == "swapped":
        members[name], members[other] = members[other], members[name]
    elif kind == "gone":
        del members[name]
    elif kind in ("bomb", "shape"):
        hostile = _inflating() if kind == "bomb" else _vast()
        members |= {x: hostile for x in names if not x.endswith(".json")}
    elif kind == "outside":
        members["../../marker"] = members["/tmp/marker"] = b"outside"
    written = io.BytesIO()
    how = zipfile.ZIP_DEFLATED if kind == "deflated" else zipfile.ZIP_STORED
    with zipfile.ZipFile(written, "w", how) as archive:
        for inner, data in members.items():
            archive.writestr(inner, data)
        if kind == "twice":
            import warnings

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                archive.writestr(name, members[other])
    made = written.getvalue()
    if kind == "claims":  # Sizes in the central directory that no disk holds.
        at = made.rindex(b"PK\x01\x02")
        size = struct.pack("<I", int(rng.choice([0xFFFFFFFF, 0x7FFFFFFF, 2**30])))
        made = made[: at + 20] + size + size + made[at + 28 :]
    return f"zip {kind}", made


@functools.cache
def _inflating() -> bytes:
    """An archive of arrays, small in the file and large in memory."""
    written = io.BytesIO()
    arrays = {str(i): np.zeros(2**25, "f4") for i in range(2)}
    np.savez_compressed(written, **arrays)  # pyright: ignore
    return written.getvalue()


def _vast() -> bytes:
    """An archive of arrays that say that they are larger than any memory."""
    told = {"descr": "<f4", "fortran_order": False, "shape": (2**20, 2**20, 2**10)}
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for i in range(40):
            array = io.BytesIO()
            np.lib.format.write_array_header_1_0(array, told)
            archive.writestr(f"{i}.npy", array.getvalue() + bytes(64))
    return written.getvalue()


class Payload:
    """Creates the marker when it is unpickled."""

    def __init__(self, marker: str):
        self._marker = marker

    def __reduce__(self):
        return pathlib.Path.touch, (pathlib.Path(self._marker),)


def planted(content: bytes, marker: str, rng) -> tuple[str, bytes]:
    """What would run code if a reader unpickled it."""
    pickled = pickle.dumps(Payload(marker))
    kinds: dict[str, Callable[[], bytes]] = {
        "pickle": lambda: pickled,
        "object array": lambda: _objects(marker),
        "archive of object arrays": lambda: _archive(marker),
        "yaml": lambda: f"!!python/object/apply:open ['{marker}', 'w']".encode(),
        "python": lambda: f"open({marker!r}, 'w')\n".encode(),
        "postscript": lambda: (
            f"%!PS-Adobe EPSF\n(%pipe%touch {marker}) (w) file".encode()
        ),
        "members": lambda: _inside(content, marker),
    }
    kind = list(kinds)[rng.integers(len(kinds))]
    return f"planted {kind}", kinds[kind]()


def _objects(marker: str) -> bytes:
    written = io.BytesIO()
    np.save(written, np.array([Payload(marker)], object), allow_pickle=True)
    return written.getvalue()


def _archive(marker: str) -> bytes:
    written = io.BytesIO()
    arrays = {str(i): np.array([Payload(marker)], object) for i in range(9)}
    np.savez(written, **arrays)  # pyright: ignore
    return written.getvalue()


def _inside(content: bytes, marker: str) -> bytes:
    """The zip archive with each member but the card replaced by object arrays."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
    except zipfile.BadZipFile:
        return pickle.dumps(Payload(marker))
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, data in members.items():
            hostile = _archive(marker) if name.endswith(".npz") else _objects(marker)
            archive.writestr(name, data if name.endswith(".json") else hostile)
    return written.getvalue()
