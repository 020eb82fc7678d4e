import signal
import threading

import pytest

from ocjax.cli import exits
from ocjax.runs import stop


def test_a_signal_is_noted_and_work_goes_on():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with stop.requests() as request:
        assert request.signal == 0
        signal.raise_signal(signal.SIGTERM)
        assert request.signal == signal.SIGTERM
    after = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    assert before == after


@pytest.mark.parametrize(
    "number, code, said",
    [(signal.SIGTERM, 75, "Stopped on request"), (signal.SIGINT, 130, "Interrupted")],
)
def test_each_signal_has_its_exit_status(number, code, said):
    error = stop.stopped(number, "saved after step 3")
    assert str(error).startswith(f"{said}; saved after step 3. The same command")

    def stopped(_):
        raise error

    with pytest.raises(SystemExit) as ended:
        exits.guarded(stopped)([])
    assert ended.value.code == code


def test_what_can_be_done_again_ends_at_once():
    with stop.requests() as request:
        with pytest.raises(stop.Stopped, match="Interrupted; what is trained is sav"):
            with request.at_once():
                signal.raise_signal(signal.SIGINT)
                raise AssertionError("It goes on.")
        with pytest.raises(stop.Stopped), request.at_once():
            raise AssertionError("It begins.")


def test_a_second_interrupt_ends_the_work_but_not_the_same_one_twice(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with stop.requests():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)  # From a terminal and from a parent.
        now[0] += 2
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_signal_that_is_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stop.requests() as request:
            signal.raise_signal(signal.SIGINT)
            assert request.signal == 0
    finally:
        signal.signal(signal.SIGINT, before)


def test_threads_leave_signals_alone():
    handlers = []

    def work():
        with stop.requests():
            handlers.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [signal.getsignal(signal.SIGTERM)]
