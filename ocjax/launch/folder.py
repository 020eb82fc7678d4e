"""The folder of one run: what is in it, and when it may be written."""

import csv
import io
import json
import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ocjax import _files
from ocjax._checks import InputError


class RunFolder:
    """A folder that belongs to one configuration.

    Files appear under their names whole or not at all; only `metrics.jsonl` grows, a
    line at a time.
    """

    def __init__(self, path: str | os.PathLike):
        """Names the folder; nothing is read or written yet."""
        self.path = pathlib.Path(path)
        self.checkpoints = self.path / "checkpoints"

    def open(self, config: Mapping[str, Any]) -> None:
        """Claims the folder for `config`, or checks that it is its own.

        Raises:
          InputError: the folder is another configuration's, or another program's.
        """
        path = self.path / "config.json"
        if path.exists():
            _check_same(self.path, self.read_json("config.json"), config)
        elif self.path.exists() and any(
            not _files.is_temporary(found) for found in self.path.iterdir()
        ):
            raise InputError(
                f"{self.path} is neither empty nor a run folder; "
                "name another --workdir."
            )
        else:
            self.write_json("config.json", config)

    def result(self) -> dict[str, Any] | None:
        """The summary of a finished run; None before."""
        finished = (self.path / "eval" / "summary.json").exists()
        return self.read_json("eval/summary.json") if finished else None

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
          InputError: it is not JSON.
        """
        try:
            return json.loads((self.path / name).read_text())
        except json.JSONDecodeError as error:
            raise InputError(
                f"{self.path / name} is damaged ({error}); name another --workdir."
            ) from error

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
        """The logged rows; a last line that was cut off is left out."""
        path = self.path / "metrics.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        rows = []
        for line in lines:
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:
                break  # The process ended while it wrote.
        return rows

    def keep_metrics(self, step: int) -> list[dict[str, Any]]:
        """Drops rows after `step`, which training will log again; returns the rest."""
        rows = [row for row in self.metrics() if row["step"] <= step]
        self.write("metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        return rows


class MetricsLog:
    """Appends rows to `metrics.jsonl` and to TensorBoard events."""

    def __init__(self, folder: RunFolder, step: int):
        """Goes on after `step`."""
        self._file = open(folder.path / "metrics.jsonl", "a", buffering=1)
        self._folder, self._step = str(folder.path / "tensorboard"), step
        self._events = None

    def write(self, row: Mapping[str, Any]) -> None:
        """Appends one row; it has a "step"."""
        self._file.write(json.dumps(row) + "\n")
        if self._events is None:  # Not before the first step: the import is slow.
            from tensorboardX import SummaryWriter

            self._events = SummaryWriter(self._folder, purge_step=self._step + 1)
        for name, value in row.items():
            if name != "step":
                self._events.add_scalar(name, value, row["step"])

    def close(self) -> None:
        """Writes what is still in memory."""
        self._file.close()
        if self._events is not None:
            self._events.close()


def _check_same(path: pathlib.Path, old: Mapping, new: Mapping) -> None:
    flat_old, flat_new = _flat(old), _flat(new)
    names = sorted(flat_old.keys() | flat_new.keys())
    changes = [
        f"{name} {flat_old.get(name)!r} -> {flat_new.get(name)!r}"
        for name in names
        if flat_old.get(name) != flat_new.get(name)
    ]
    if changes:
        raise InputError(
            f"{path} belongs to another configuration ({'; '.join(changes)}); use that "
            "one again or name another --workdir."
        )


def _flat(config: Mapping, prefix: str = "") -> dict[str, Any]:
    flat = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
