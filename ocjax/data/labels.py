"""Reading of a `labels.csv`: which pictures are good, and which of them test.

It has the columns `path` and `label` (`good` or `normal` for good pictures, the kind of
anomaly for others) and, if they are there, `split` (`train` or `test`) and `group`
(pictures of one object, whose good ones stay on one side of a split). Paths are from
the folder of the table, or whole. Cells are divided by commas, semicolons or tabs, as
the header is.
"""

import csv
import io
import os
import pathlib
from collections.abc import Iterator

from ocjax._checks import InputError
from ocjax.data import words
from ocjax.data.entries import GOOD, Entry

_TESTS = {"train": False, "test": True, "": None}


def table(root: pathlib.Path) -> pathlib.Path | None:
    """Finds the table in a folder, in any case, if there is one.

    Raises:
      InputError: there are several tables.
    """
    if not root.is_dir():
        return None
    names = sorted(name for name in os.listdir(root) if name.lower() == "labels.csv")
    tables = [root / name for name in names if (root / name).is_file()]
    if len(tables) > 1:
        raise InputError(f"{root} has {' and '.join(names)}; one table is expected.")
    return tables[0] if tables else None


def read(root: pathlib.Path, table: pathlib.Path) -> list[Entry]:
    """Reads the pictures that a table lists.

    Args:
      root: folder that paths are from.
      table: file to read.

    Raises:
      InputError: the file is no such table, or a picture is not there, is listed twice,
        or would train and is not good.
    """
    entries, lines = [], {}
    for line, row in _rows(table):
        entry = _entry(root, row, f"{table}, line {line}")
        real = os.path.realpath(entry.path)
        if real in lines:
            raise InputError(
                f"{table}, line {line}: {row['path']} is listed in line {lines[real]} "
                "already; list each picture once."
            )
        lines[real] = line
        entries.append(entry)
    return entries


def _rows(table: pathlib.Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields numbers of lines, and their cells by column."""
    text = _text(table)
    header = next((line for line in text.splitlines() if line.strip()), "")
    # The most frequent character divides: names of columns may hold none of these.
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    columns = None
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if columns is None:
                columns = _columns(table, cells)
                continue
            if len(cells) != len(columns):
                raise InputError(
                    f"{table}, line {reader.line_num}: expected {len(columns)} cells, "
                    f"got {len(cells)}: {cells}."
                )
            yield reader.line_num, dict(zip(columns, cells, strict=True))
    except csv.Error as error:
        raise InputError(
            f"{table}, line {reader.line_num}, is no readable CSV: {error}."
        ) from error
    if columns is None:
        raise InputError(f"{table} is empty: expected the columns path and label.")


def _text(table: pathlib.Path) -> str:
    """Decodes a file of UTF-8, or of UTF-16 with its mark, as spreadsheets write.

    Other bytes are kept as Python keeps those of names of files.
    """
    try:
        content = table.read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read {table}: {error.strerror}.") from error
    try:
        if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            text = content.decode("utf-16")
        else:
            text = content.decode("utf-8-sig", errors="surrogateescape")
    except UnicodeDecodeError as error:
        raise InputError(f"{table} is no readable text: {error}.") from error
    if "\0" in text:
        raise InputError(f"{table} is no readable text: it has zero bytes.")
    return text


def _columns(table: pathlib.Path, cells: list[str]) -> list[str]:
    columns = [cell.lower() for cell in cells]
    for name in ("path", "label"):
        if name not in columns:
            raise InputError(
                f"{table}: expected a header with the columns path and label, and "
                f"perhaps split and group, got {cells}."
            )
    for name in ("path", "label", "split", "group"):
        if columns.count(name) > 1:
            raise InputError(f"{table}: expected one column {name}, got several.")
    return columns


def _entry(root: pathlib.Path, row: dict[str, str], where: str) -> Entry:
    if not row["path"] or not row["label"]:
        raise InputError(f"{where}: expected a path and a label, got {row}.")
    part = row.get("split", "").lower()
    if part not in _TESTS:
        raise InputError(f"{where}: expected split train or test, got {part!r}.")
    path = root / row["path"]
    if not os.path.isfile(path) and "\\" in row["path"]:  # Windows writes such paths.
        path = root / row["path"].replace("\\", "/")
    if not os.path.isfile(path):
        raise InputError(f"{where}: there is no file {path}.")
    kind, test = row["label"], _TESTS[part]
    if kind in (GOOD, "normal"):
        kind = GOOD
    elif words.meaning(kind) == "good":
        raise InputError(
            f"{where}: expected the label good for a good picture, got {kind!r}."
        )
    elif test is None:
        test = True
    elif not test:
        raise InputError(f"{where}: only {GOOD!r} may train, got {kind!r}.")
    return Entry(path, kind, test, row.get("group", ""))
