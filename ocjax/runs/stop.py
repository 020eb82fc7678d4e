"""Requests to stop: SIGTERM, and Ctrl-C."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator

_SIGNALS = signal.SIGTERM, signal.SIGINT
# A signal may come twice: of a terminal, and of the process that watches this one.
_SAME_SECONDS = 1.0


class Stopped(Exception):
    """Work was asked to stop, and saved its state.

    Attributes:
      signal: number of the signal that asked.
    """

    def __init__(self, message: str, number: int = signal.SIGTERM):
        """Takes what to say, and the signal's number."""
        super().__init__(message)
        self.signal = number


class Stop:
    """Whether it was asked to stop, and by which signal.

    Attributes:
      signal: number of the signal; 0 where none came.
    """

    def __init__(self):
        """Nobody has asked yet."""
        self.signal, self._since, self._at_once = 0, 0.0, False

    def receive(self, number: int, frame: object = None) -> None:
        """Notes a signal; a second Ctrl-C ends the work wherever it is."""
        del frame
        again = self.signal and time.monotonic() - self._since > _SAME_SECONDS
        if again and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self.signal:
            self.signal, self._since = number, time.monotonic()
            if self._at_once:
                raise stopped(number, "what is trained is saved")

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """A block that ends where it is when a signal comes, and if one came before.

        Raises:
          Stopped: one did.
        """
        if self.signal:
            raise stopped(self.signal, "what is trained is saved")
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False


def stopped(number: int, saved: str) -> Stopped:
    """What ends the work after a signal, with a line that says what is saved."""
    by = "Interrupted" if number == signal.SIGINT else "Stopped on request"
    return Stopped(f"{by}; {saved}. The same command goes on from there.", number)


@contextlib.contextmanager
def requests() -> Iterator[Stop]:
    """Notes SIGTERM and Ctrl-C meanwhile, instead of ending the process."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # Python lets the main thread alone handle signals.
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    heeded = [n for n, handler in before.items() if handler is not signal.SIG_IGN]
    for number in heeded:
        signal.signal(number, stop.receive)
    try:
        yield stop
    finally:
        for number in heeded:
            signal.signal(number, before[number])
