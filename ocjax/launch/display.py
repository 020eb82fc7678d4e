"""What a run says while it works: one live line on a terminal, else plain lines."""

import sys
import time
from collections.abc import Mapping

SECONDS_BETWEEN_LINES = 10.0


def say(message: str) -> None:
    """Prints a line to standard error; results alone go to standard output."""
    print(message, file=sys.stderr, flush=True)


class Display:
    """Shows how far training is; use it as a context manager."""

    def __init__(self, epochs: int, steps_per_epoch: int, step: int):
        """Starts at `step`, counted from the start of training."""
        self._epochs = epochs
        self._steps = epochs * steps_per_epoch
        self._bar = _bar(self._steps, step) if sys.stderr.isatty() else None
        self._start, self._first = time.monotonic(), step
        self._next_line = 0.0

    def __enter__(self):
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_):
        if self._bar:
            self._bar.stop()

    def update(
        self,
        step: int,
        epoch: int,
        terms: Mapping[str, float],
        images_per_second: float,
    ) -> None:
        """Shows the state after `step`, in `epoch` counted from 0."""
        losses = "  ".join(f"{name} {value:.4g}" for name, value in terms.items())
        text = f"epoch {epoch + 1}/{self._epochs}  {images_per_second:.0f}/s  {losses}"
        if self._bar:
            self._bar.update(self._bar.task_ids[0], completed=step, text=text)
            return
        now = time.monotonic()
        if now < self._next_line and step < self._steps:
            return
        self._next_line = now + SECONDS_BETWEEN_LINES
        left = (now - self._start) * (self._steps - step) / max(step - self._first, 1)
        say(f"{text}  {left:.0f} s left")


def _bar(steps: int, step: int):
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        BarColumn(16),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),  # Cut off where the terminal ends.
        console=Console(stderr=True),
    )
    bar.add_task("", total=steps, completed=step, text="compiling")
    return bar
