"""Plain lines on standard error that say how far long work is."""

import contextlib
import threading
import time
from collections.abc import Iterator

FIRST, BETWEEN = 3.0, 10.0  # Seconds until the first line, and from line to line.


class Progress:
    """Count of items that are done; whoever does them raises it."""

    def __init__(self, doing: str, total: int):
        """Begins at none of `total` items, 0 where the work has no items."""
        self.doing, self.total, self.done = doing, total, 0
        self._start = time.monotonic()

    def line(self) -> str:
        """Line with the work, how much of it is done, and how long the rest takes."""
        seconds = time.monotonic() - self._start
        if not self.total:
            return f"{self.doing}: {seconds:.0f} s so far"
        text = f"{self.doing}: {self.done:,} of {self.total:,}"
        if self.done:
            remaining = seconds / self.done * (self.total - self.done)
            text += f"  {self.done / seconds:.3g}/s  {remaining:.0f} s left"
        return text


@contextlib.contextmanager
def shown(doing: str, total: int = 0) -> Iterator[Progress]:
    """Says a line after `FIRST` seconds and every `BETWEEN` ones, while a block runs.

    Lines come while a single call of the block takes long too, such as a compilation.
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
