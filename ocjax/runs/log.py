"""Logs of a run: rows of JSON, and TensorBoard's events."""

import json
import pathlib
import time
from collections.abc import Mapping
from typing import Any

from ocjax.runs.folder import RunFolder


class MetricsLog:
    """Appends rows to `metrics.jsonl` and to TensorBoard events."""

    def __init__(self, folder: RunFolder, step: int):
        """Goes on after `step`."""
        self._file = open(folder.path / "metrics.jsonl", "a", buffering=1)
        self._folder, self._step = folder.path / "tensorboard", step
        self._events: _Events | None = None

    def write(self, row: Mapping[str, Any]) -> None:
        """Appends one row, which has a "step"."""
        self._file.write(json.dumps(row) + "\n")
        if self._events is None:  # The import is slow, so the first step comes before.
            self._events = _Events(self._folder, self._step + 1)
        self._events.write(row)

    def close(self) -> None:
        """Writes what is still in memory."""
        try:
            self._file.close()
        finally:
            if self._events is not None:
                self._events.close()


class _Events:
    """A file of TensorBoard events.

    The caller's thread writes it: `tensorboardX.SummaryWriter` has a thread of its own,
    whose errors nobody can catch.
    """

    def __init__(self, folder: pathlib.Path, first_step: int):
        """Begins a file, from `first_step` on the only one that counts."""
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto import event_pb2
        from tensorboardX.summary import scalar

        folder.mkdir(exist_ok=True)
        protocol: Any = event_pb2  # The import makes its classes.
        self._event, self._scalar = protocol.Event, scalar
        self._writer = EventsWriter(str(folder / "events"))
        start = protocol.SessionLog(status=protocol.SessionLog.START)
        self._writer.write_event(self._event(step=first_step, session_log=start))

    def write(self, row: Mapping[str, Any]) -> None:
        """Appends all of a row."""
        for name, value in row.items():
            if name != "step":
                summary = self._scalar(name, value)
                event = self._event(
                    wall_time=time.time(), step=row["step"], summary=summary
                )
                self._writer.write_event(event)
        self._writer.flush()

    def close(self) -> None:
        """Closes the file."""
        self._writer.close()
