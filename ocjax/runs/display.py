"""Messages of runs while they work: live lines on a terminal, else plain ones."""

import contextlib
import sys
import time

SECONDS_BETWEEN_LINES = 10.0


def say(message: str) -> None:
    """Prints a line to standard error; results alone go to standard output.

    Where nobody can read it any more, nothing is printed, and work goes on.
    """
    if sys.stderr is None:  # Closed from the start; `print` would take another stream.
        return
    with contextlib.suppress(OSError, ValueError):  # Closed since, or a full disk.
        print(message, file=sys.stderr, flush=True)


class Display:
    """Shows the progress of runs; use it as a context manager."""

    def __init__(self, quiet: bool = False):
        """Shows nothing yet, or never."""
        self.quiet = quiet
        terminal = sys.stderr is not None and sys.stderr.isatty()
        self._bar = _bar() if terminal and not quiet else None
        self._runs: list[Run] = []
        self._start, self._taken, self._next_line = None, 0, 0.0

    def __enter__(self):
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_):
        if self._bar:
            self._bar.stop()

    def add(self, name: str, epochs: int, steps: int) -> "Run":
        """Adds a run that waits for its turn."""
        run = Run(self, name, epochs, steps, self._bar)
        self._runs.append(run)
        return run

    def line(self, run: "Run", text: str) -> None:
        """Says a line of a run, where there is no terminal and it is time for it."""
        now, taken = time.monotonic(), sum(run.done - run.first for run in self._runs)
        if self._start is None:  # The compilation is over.
            self._start, self._taken = now, taken
            self._next_line = now + 1  # A second is enough to tell the speed by.
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
    """Progress of one run."""

    def __init__(self, display: Display, name: str, epochs: int, steps: int, bar):
        """Shows that the run waits."""
        self.name, self.steps = name, steps
        self.first = self.done = 0
        self.ended = False
        self._display, self._epochs, self._bar = display, epochs, bar
        if bar:
            self._task = bar.add_task(name, total=self.steps, text="waiting")

    def begin(self, step: int) -> None:
        """Begins the run after `step` of training."""
        self.first = self.done = step
        if self._bar:
            self._bar.update(self._task, completed=step)
        self.phase("compiling")

    def say(self, text: str) -> None:
        """Says a line about the run."""
        say(f"{self.name}: {text}" if self.name else text)

    def phase(self, text: str) -> None:
        """Shows other work than steps, such as "drawing"."""
        if self._bar:
            self._bar.update(self._task, text=text)
        elif not self.name and not self._display.quiet:
            say(f"{text[0].upper()}{text[1:]}.")

    def update(
        self,
        step: int,
        epoch: int,
        loss: float | None,
        held_out_error: float | None,
        images_per_second: float,
    ) -> None:
        """Shows the state after `step`.

        Args:
          step: number of steps taken so far.
          epoch: number of the epoch, from 0 on.
          loss: mean loss of the last steps; None of a pass.
          held_out_error: last error on held-out normal images, if measured.
          images_per_second: speed of training.
        """
        self.done = step
        parts = [f"epoch {epoch + 1}/{self._epochs}"]
        if loss is not None:
            parts.append(f"loss {loss:.4g}")
        if held_out_error is not None:
            parts.append(f"held-out error {held_out_error:.4g}")
        text = "  ".join([*parts, f"{images_per_second:.0f} images/s"])
        if self._bar:
            self._bar.update(self._task, completed=step, text=text)
        self._display.line(self, text)

    def end(self, text: str) -> None:
        """Ends the run, and shows its result."""
        self.ended, self.steps = True, self.done
        if self._bar:
            self._bar.update(self._task, text=text)
        elif self.name and not self._display.quiet:
            say(f"{self.name}: {text}")


def _bar():
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.table import Column

    rest = Column(ratio=1, no_wrap=True)  # The terminal's end cuts it off.
    return Progress(
        TextColumn("{task.description}"),
        SpinnerColumn(),
        BarColumn(16),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}", table_column=rest),
        console=Console(stderr=True),
        expand=True,
    )
