"""Plain lines on standard error that say how far long work is."""

import contextlib
import threading
import time
from collections.abc import Iterator

FIRST, BETWEEN = 3.0, 10.0  # Seconds until the first line, and from line to line.


class Progress:
    """How many items are done; whoever does them counts them up."""

    def __init__(self, doing: str, total: int):
        """Nothing is done yet, of so many items; 0 where the work has none."""
        self.doing, self.total, self.done = doing, total, 0
        self._start = time.monotonic()

    def line(self) -> str:
        """What is being done, how much of it, and how long the rest takes."""
        seconds = time.monotonic() - self._start
        if not self.total:
            return f"{self.doing}: {seconds:.0f} s so far"
        text = f"{self.doing}: {self.done:,} of {self.total:,}"
        if self.done:
            left = seconds / self.done * (self.total - self.done)
            text += f"  {self.done / seconds:.3g}/s  {left:.0f} s left"
        return text


@contextlib.contextmanager
def shown(doing: str, total: int = 0) -> Iterator[Progress]:
    """Says a line after `FIRST` seconds and every `BETWEEN` ones, while a block runs.

    It does so while one call of the block takes long, such as a compilation.
    """
    from ocjax.runs.display import say

    progress, over = Progress(doing, total), threading.Event()

    def lines():
        wait = FIRST
        while not over.wait(wait):
            say(progress.line())
            wait = BETWEEN

    thread = threading.Thread(target=lines, daemon=True)
    thread.start()
    try:
        yield progress
    finally:
        over.set()
        thread.join()
