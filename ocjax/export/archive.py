"""Model files: a zip archive of a card and what computes, without any pickle."""

import dataclasses
import json
import os
import pathlib
import zipfile
from collections.abc import Mapping
from typing import NamedTuple

from ocjax import _files
from ocjax._checks import InputError
from ocjax.export.scorer import Card

FORMAT = 1  # Raise it when a file of before can no longer be read.
SUFFIX = ".ocjax"
LARGEST = 4 * 2**30  # Bytes of a member; more is refused.
_CARD = "card.json"


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
    # Stored, not compressed: parameters do not compress, and a member that claims to is
    # refused.
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
      InputError: it is no model file, is damaged, or of another version.
    """
    path = pathlib.Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = {
                info.filename: _member(archive, info) for info in archive.infolist()
            }
        values = json.loads(members.pop(_CARD))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise InputError(f"{path} is no model file, or is damaged: {error}") from error
    except KeyError:
        raise InputError(f"{path} is no model file: it has no {_CARD}.") from None
    except ValueError as error:
        raise InputError(f"{path} is damaged: {error}") from error
    kind, card = parse(values, path)
    return Archive(path, kind, card, members)


def described(kind: str, card: Card) -> dict:
    """What a file says of itself, for JSON."""
    return {"format": FORMAT, "kind": kind, **dataclasses.asdict(card)}


def parse(values, path: str | os.PathLike) -> tuple[str, Card]:
    """Kind and card of what a file says of itself.

    Raises:
      InputError: it is of another version, or damaged.
    """
    if not isinstance(values, dict) or "format" not in values:
        raise InputError(f"{path} is no model file: its card has no format.")
    values = dict(values)
    if (found := values.pop("format")) != FORMAT:
        raise InputError(
            f"{path} is a model file of format {found}, this version of ocjax reads "
            f"format {FORMAT}: export it again."
        )
    kind = values.pop("kind", None)
    try:
        normals = tuple(map(float, values.pop("normals", ())))
        card = Card(**values, normals=normals)
        sizes = [type(card.size), type(card.channels)] == [int, int]
        if not (sizes and card.size > 0 and card.channels in (1, 3)):
            raise ValueError(f"images of shape {card.shape}")
        for number in (card.threshold, card.false_positive_rate):
            if number is not None:
                float(number)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path} has a damaged card: {error}") from error
    return str(kind), card


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    stored = info.compress_type == zipfile.ZIP_STORED
    if not stored or info.file_size > LARGEST:
        raise zipfile.BadZipFile(f"{info.filename} is compressed or too large")
    return archive.read(info)
