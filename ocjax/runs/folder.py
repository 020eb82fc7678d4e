"""Folder of one run: its files, and when they may be written."""

import csv
import dataclasses
import io
import json
import os
import pathlib
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ocjax import _files
from ocjax._checks import InputError
from ocjax._nested import flat
from ocjax.runs import known, lock
from ocjax.runs.changes import LENGTHS
from ocjax.runs.config import RunConfig
from ocjax.runs.lock import Lock
from ocjax.runs.summary import Summary

_SUMMARY = "eval/summary.json"


class RunFolder:
    """A folder that belongs to one configuration.

    Files appear under their names whole or not at all; only `metrics.jsonl` grows, a
    line at a time.
    """

    def __init__(self, path: str | os.PathLike):
        """Names the folder; nothing is read or written yet."""
        self.path = pathlib.Path(path)
        self.checkpoints = self.path / "checkpoints"
        self._lock = Lock(self.path)

    def open(self, config: Mapping[str, Any]) -> None:
        """Claims the folder for `config`, or checks that it is its own.

        Until `close` no other process can open it, unless the run is finished. A run is
        lengthened where nothing differs but its epochs or steps, which are more than
        before, and its learning rates do not depend on them.

        Raises:
          InputError: the folder is another configuration's, another program's, or in
            use by another process.
        """
        if self.path.is_file():
            raise InputError(f"{self.path} is a file; name a folder as --workdir.")
        if self.result() is not None and not self._changes(config):
            return  # Nothing will be written.
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock.take()
        try:
            self._claim(config)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Lets other processes open the folder."""
        self._lock.release()

    def _claim(self, config: Mapping[str, Any]) -> None:
        if not (self.path / known.FILE).exists():
            if not all(map(_is_ours, self.path.iterdir())):
                raise InputError(
                    f"{self.path} is neither empty nor a run folder; "
                    "name another --workdir."
                )
            self.write_json(known.FILE, config)
            return
        changes = self._changes(config)
        if not all(map(_lengthens, changes)) or (changes and _scheduled(config)):
            differences = "; ".join(f"{name} {a!r} -> {b!r}" for name, a, b in changes)
            raise InputError(
                f"{self.path} belongs to another configuration ({differences}); use "
                "that one again or name another --workdir."
            )
        if changes:  # The result is no longer the run's.
            (self.path / _SUMMARY).unlink(missing_ok=True)
            self.write_json(known.FILE, config)

    def _changes(self, config: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
        """Differences from the folder's configuration: name, old and new value."""
        old, new = self.read_json(known.FILE), dict(flat(config))
        if not isinstance(old, Mapping):
            raise InputError(
                f"{self.path / known.FILE} is damaged; name another --workdir."
            )
        old = dict(flat(old))
        names = sorted(old.keys() | new.keys())
        pairs = [(name, old.get(name), new.get(name)) for name in names]
        return [
            (name, before, after) for name, before, after in pairs if before != after
        ]

    def result(self) -> Summary | None:
        """Summary of a finished run, with its present folder; None before the end.

        Raises:
          InputError: the summary is damaged.
        """
        file = self.path / _SUMMARY
        if not file.exists():
            return None
        values = self.read_object(_SUMMARY)
        try:
            summary = Summary.from_json(values)
        except InputError as error:
            reason = textwrap.shorten(str(error), 200, placeholder=" ...")
            raise InputError(
                f"{file} is damaged: {reason}; remove it, and the command of the run "
                "judges it again."
            ) from error
        return dataclasses.replace(summary, workdir=str(self.path))

    def finish(self, summary: Summary) -> None:
        """Writes the summary, after which the run is finished."""
        self.write_json(_SUMMARY, summary.to_json())

    def held_out(self) -> list[float]:
        """Scores of the held-out normal images of a finished run.

        Raises:
          InputError: their file is missing or damaged.
        """
        file = self.path / "eval" / "held_out.csv"
        try:
            rows = csv.DictReader(file.read_text().splitlines())
            return [float(row["score"]) for row in rows]
        except (OSError, KeyError, ValueError) as error:
            raise InputError(f"{file} is missing or damaged: {error!r}") from error

    def read_json(self, name: str) -> Any:
        """Reads the file `name`.

        Raises:
          InputError: the file is not JSON.
        """
        try:
            return json.loads((self.path / name).read_text())
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{self.path / name} is damaged ({error}); name another --workdir."
            ) from error

    def read_object(self, name: str) -> dict[str, Any]:
        """Reads the file `name`, which has one JSON object.

        Raises:
          InputError: the file has something else.
        """
        value = self.read_json(name)
        if not isinstance(value, dict):
            raise InputError(f"{self.path / name} is damaged: expected one object.")
        return value

    def write_json(self, name: str, value: Any) -> None:
        """Writes `value` to the file `name`."""
        self.write(name, json.dumps(value, indent=2, sort_keys=True) + "\n")

    def write_csv(self, name: str, header: Sequence[str], rows: Iterable) -> None:
        """Writes a table to the file `name`."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([header, *rows])
        self.write(name, text.getvalue())

    def write(self, name: str, content: str | bytes) -> None:
        """Writes the file `name` under a temporary name, then renames it."""
        with _files.replacing(self.path / name) as temporary:
            temporary.write_bytes(
                content.encode() if isinstance(content, str) else content
            )

    def metrics(self) -> list[dict[str, Any]]:
        """Logged rows, without lines that were cut off or are damaged."""
        path = self.path / "metrics.jsonl"
        if not path.exists():
            return []
        lines = path.read_text(errors="replace").splitlines()
        return [row for row in map(_row, lines) if row is not None]

    def keep_metrics(self, step: int) -> list[dict[str, Any]]:
        """Drops rows after `step`, which training will log again; returns the rest."""
        rows = [row for row in self.metrics() if row["step"] <= step]
        self.write("metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        return rows


def _is_ours(path: pathlib.Path) -> bool:
    """Whether a killed process may have left a file in a folder that is claimed."""
    return path.name == lock.NAME or _files.is_temporary(path)


def _lengthens(change: tuple[str, Any, Any]) -> bool:
    """Whether a change asks for more epochs or steps of a run."""
    name, before, after = change
    *groups, field = name.split(".")
    if field not in LENGTHS or "hyper" in groups:
        return False
    return isinstance(before, int) and isinstance(after, int) and after > before > 0


def _scheduled(config: Mapping[str, Any]) -> bool:
    """Whether learning rates depend on how long a run is."""
    values = dict(flat(config))
    return any(
        values[name] != RunConfig.schedule
        for name in values
        if name.split(".")[-1] == "schedule"
    )


def _row(line: str) -> dict[str, Any] | None:
    """Row of a line of the log, if it is one."""
    try:
        row = json.loads(line)
        return row if row["step"] >= 0 and row.get("seconds", 0) >= 0 else None
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return None
