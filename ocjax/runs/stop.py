"""Requests to stop: SIGTERM, and Ctrl-C."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator

_SIGNALS = signal.SIGTERM, signal.SIGINT
# A signal may come twice: from a terminal, and from the process that watches this one.
_SAME_SECONDS = 1.0


class Stopped(Exception):
    """Raised when work was asked to stop, and has saved its state.

    Attributes:
      signal: number of the signal.
    """

    def __init__(self, message: str, number: int = signal.SIGTERM):
        """Takes the message, and the signal's number."""
        super().__init__(message)
        self.signal = number


class Stop:
    """Request to stop, and the signal that made it.

    Attributes:
      signal: number of the signal; 0 where none came.
    """

    def __init__(self):
        """Begins without a request."""
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
        """Ends a block where it is when a signal comes, or came before.

        Raises:
          Stopped: a signal came.
        """
        if self.signal:
            raise stopped(self.signal, "what is trained is saved")
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False


def stopped(number: int, saved: str) -> Stopped:
    """Exception that ends the work after a signal, with a line on what is saved."""
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
