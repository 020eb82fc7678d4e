"""What runs say while they work: live lines on a terminal, else plain ones."""

import sys
import time
from collections.abc import Mapping

SECONDS_BETWEEN_LINES = 10.0


def say(message: str) -> None:
    """Prints a line to standard error; results alone go to standard output."""
    print(message, file=sys.stderr, flush=True)


class Display:
    """Shows how far each run is; use it as a context manager."""

    def __init__(self, quiet: bool = False):
        """Shows nothing yet, or never."""
        self.quiet = quiet
        self._bar = _bar() if sys.stderr.isatty() and not quiet else None
        self._runs: list[Run] = []
        self._start, self._taken, self._next_line = None, 0, 0.0

    def __enter__(self):
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_):
        if self._bar:
            self._bar.stop()

    def add(self, name: str, epochs: int, steps_per_epoch: int) -> "Run":
        """A run that waits for its turn."""
        run = Run(self, name, epochs, steps_per_epoch, self._bar)
        self._runs.append(run)
        return run

    def line(self, run: "Run", text: str) -> None:
        """Says what a run says, where there is no terminal and it is time for it."""
        now, taken = time.monotonic(), sum(run.done - run.first for run in self._runs)
        if self._start is None:  # After the compilation.
            self._start, self._taken = now, taken
            self._next_line = now + 1  # Enough to tell the speed by.
        last = run.done == run.steps and len(self._runs) == 1
        if self.quiet or self._bar or (now < self._next_line and not last):
            return
        self._next_line = now + SECONDS_BETWEEN_LINES
        waiting = sum(run.steps - run.done for run in self._runs)
        left = (now - self._start) * waiting / max(taken - self._taken, 1)
        if len(self._runs) > 1:
            ended = sum(run.ended for run in self._runs)
            text = f"{ended} of {len(self._runs)} done  {run.name}: {text}"
        say(f"{text}  {left:.0f} s left")


class Run:
    """How far one run is."""

    def __init__(self, display: Display, name: str, epochs: int, per_epoch: int, bar):
        """Shows that it waits."""
        self.name, self.steps = name, epochs * per_epoch
        self.first = self.done = 0
        self.ended = False
        self._display, self._epochs, self._bar = display, epochs, bar
        if bar:
            self._task = bar.add_task(name, total=self.steps, text="waiting")

    def begin(self, step: int) -> None:
        """Its turn comes, after `step` of training."""
        self.first = self.done = step
        if self._bar:
            self._bar.update(self._task, completed=step, text="compiling")

    def update(
        self,
        step: int,
        epoch: int,
        terms: Mapping[str, float],
        images_per_second: float,
    ) -> None:
        """Shows the state after `step`, in `epoch` counted from 0."""
        self.done = step
        losses = "  ".join(f"{name} {value:.4g}" for name, value in terms.items())
        text = f"epoch {epoch + 1}/{self._epochs}  {images_per_second:.0f}/s  {losses}"
        if self._bar:
            self._bar.update(self._task, completed=step, text=text)
        self._display.line(self, text)

    def end(self, text: str) -> None:
        """Shows what became of it."""
        self.ended, self.steps = True, self.done
        if self._bar:
            self._bar.update(self._task, text=text)
        elif self.name and not self._display.quiet:
            say(f"{self.name}: {text}")


def _bar():
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    rest = Column(ratio=1, no_wrap=True)  # Cut off where the terminal ends.
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(16),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}", table_column=rest),
        console=Console(stderr=True),
        expand=True,
    )
