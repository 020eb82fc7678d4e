"""Model files: a zip archive of a card and a program or arrays, without any pickle."""

import dataclasses
import io
import json
import os
import pathlib
import sys
import zipfile
from collections.abc import Mapping
from typing import IO, NamedTuple

import numpy as np

from ocjax import _files
from ocjax._checks import InputError
from ocjax.data import fitting
from ocjax.inference.scorer import Card

FORMAT = 1  # Number to be raised when older files can no longer be read.
SUFFIX = ".ocjax"
_CARD = "card.json"
_TEXT = 1000  # Most characters of a text in a card.


class Archive(NamedTuple):
    """An opened model file."""

    path: pathlib.Path
    kind: str
    card: Card
    members: Mapping[str, bytes]


def write(
    path: str | os.PathLike, kind: str, card: Card, members: Mapping[str, bytes]
) -> pathlib.Path:
    """Writes a model file, whole or not at all; returns its path."""
    path = pathlib.Path(path)
    # Members are stored: parameters do not compress, and compressed ones are refused.
    with (
        _files.replacing(path) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive,
    ):
        archive.writestr(_CARD, json.dumps(described(kind, card), indent=2))
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def read(path: str | os.PathLike) -> Archive:
    """Reads a model file; nothing in it is run.

    Raises:
      InputError: the file is no model file, is damaged, or of another version.
    """
    path = pathlib.Path(path)
    with open(path, "rb") as file:
        try:
            members = _members(file, os.fstat(file.fileno()).st_size)
            values = json.loads(members.pop(_CARD))
        except KeyError:
            raise InputError(f"{path} is no model file: it has no {_CARD}.") from None
        except Exception as error:  # Damaged bytes may raise anything.
            raise InputError(
                f"{path} is no model file, or is damaged: {error}"
            ) from error
    kind, card = parse(values, path)
    return Archive(path, kind, card, members)


def arrays(content: bytes) -> list[np.ndarray]:
    """Reads the arrays of a member that `numpy.savez` wrote, by their numbers.

    Raises:
      Exception: the member is damaged, of whatever kind; or would need more memory than
        it has bytes.
    """
    members = _members(io.BytesIO(content), len(content))
    opened = [io.BytesIO(members[f"{i}.npy"]) for i in range(len(members))]
    return [np.lib.format.read_array(file, allow_pickle=False) for file in opened]


def described(kind: str, card: Card) -> dict:
    """Description of a model file, for JSON: its format, its kind and its card."""
    return {"format": FORMAT, "kind": kind, **dataclasses.asdict(card)}


def parse(values, path: str | os.PathLike) -> tuple[str, Card]:
    """Parses a file's description, as `described` makes it, into kind and card.

    Raises:
      InputError: the file is of another version, or damaged.
    """
    if not isinstance(values, dict) or "format" not in values:
        raise InputError(f"{path} is no model file: its card has no format.")
    values = dict(values)
    if (number := values.pop("format")) != FORMAT:
        raise InputError(
            f"{path} is a model file of format {_short(number)}, this version of ocjax "
            f"reads format {FORMAT}: export it again."
        )
    kind = values.pop("kind", None)
    try:
        normals = tuple(values.pop("normals", ()))
        card = Card(**values, normals=normals)
        check(card)
        if not isinstance(kind, str) or len(kind) > _TEXT:
            raise ValueError("no kind")
    except (TypeError, ValueError) as error:
        raise InputError(f"{path} has a damaged card: {error}") from error
    return kind, card


def check(card: Card) -> None:
    """Checks the values of a card that was read.

    Raises:
      ValueError: a card cannot have one of them.
    """
    texts = [card.method, card.trained_on, card.version, card.weights]
    if card.commit is not None:
        texts.append(card.commit)
    if not all(isinstance(x, str) and len(x) <= _TEXT for x in texts):
        raise ValueError(f"texts of at most {_TEXT} characters are expected")
    integers = type(card.size) is int and type(card.channels) is int
    if not (integers and 0 < card.size < 2**16 and card.channels in (1, 3)):
        raise ValueError(f"images of shape {_short(card.shape)}")
    if card.fit not in fitting.FITS:
        raise ValueError(f"pictures fitted by {_short(card.fit)}")
    rate = card.false_positive_rate
    if rate is not None and not (_is_number(rate) and 0 < rate < 1):
        raise ValueError(f"the false-positive rate {_short(rate)}")
    if card.threshold is not None and not _is_number(card.threshold):
        raise ValueError(f"the threshold {_short(card.threshold)}")
    if not all(map(_is_number, card.normals)):
        raise ValueError("a score of a normal image that is no number")
    if list(card.normals) != sorted(card.normals):
        raise ValueError("scores of normal images that do not rise")


def _is_number(value) -> bool:
    """Whether a value is a finite number within the range of floats."""
    number = type(value) in (int, float)
    return number and abs(value) <= sys.float_info.max


def _short(value) -> str:
    text = repr(value)
    return text if len(text) < 100 else f"{text[:100]}..."


def _members(file: IO[bytes], size: int) -> dict[str, bytes]:
    """Reads all members by name, together no larger than the file."""
    with zipfile.ZipFile(file) as archive:
        infos = archive.infolist()
        stored = all(info.compress_type == zipfile.ZIP_STORED for info in infos)
        if not stored or sum(info.file_size for info in infos) > size:
            raise zipfile.BadZipFile("a member is compressed or too large")
        return {info.filename: archive.read(info) for info in infos}
