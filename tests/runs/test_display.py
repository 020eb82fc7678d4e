import io
import re

import pytest

from ocjax.runs import display


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(display.time, "monotonic", lambda: now[0])
    return now


def test_lines_say_how_far_all_runs_are_and_what_is_left(clock, capsys):
    with display.Display() as shown:
        a, b = shown.add("a", 2, 20), shown.add("b", 2, 20)
        a.begin(0)
        a.update(1, 0, 0.5, None, 64.0)  # From here on time counts.
        clock[0] += 10
        a.update(11, 1, 0.25, 0.125, 64.0)
        a.update(20, 1, 0.25, 0.125, 64.0)  # Too soon for another line.
        a.end("AUROC 0.9")
        b.begin(15)  # Resumed: these steps were not taken now.
    assert capsys.readouterr().err.splitlines() == [
        # Ten steps in 10 s, and 9 + 20 to go.
        "0 of 2 done  a: epoch 2/2  loss 0.25  held-out error 0.125  64 images/s"
        "  29 s left",
        "a: AUROC 0.9",
    ]


def test_a_run_alone_has_no_name_and_ends_with_a_line(clock, capsys):
    with display.Display() as shown:
        run = shown.add("", 1, 4)
        run.begin(0)
        run.update(4, 0, 0.5, None, 64.0)
        run.end("AUROC 0.9")
    assert capsys.readouterr().err.splitlines() == [
        "Compiling.",
        "epoch 1/1  loss 0.5  64 images/s  0 s left",
    ]


def test_processes_that_do_not_write_say_nothing(clock, capsys):
    with display.Display(quiet=True) as shown:
        run = shown.add("a", 1, 4)
        run.begin(0)
        run.update(4, 0, 0.5, None, 64.0)
        run.end("AUROC 0.9")
    assert capsys.readouterr().err == ""


def test_a_terminal_shows_every_run_whole(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    with display.Display() as shown:
        runs = [shown.add(f"8-seed{i}", 1, 4) for i in range(2)]
        runs[0].begin(0)
        runs[0].update(4, 0, 0.5, 0.123456789, 64.0)
        runs[0].phase("drawing the report, " * 9)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    last = plain.splitlines()[-2:]
    assert re.match("8-seed0 . ━━━━━━━━━━━━━━━━ .* drawing the report", last[0])
    assert last[1].startswith("8-seed1 ") and "waiting" in last[1]
    assert len(last[0]) <= 80


def test_nothing_is_said_where_nobody_can_read_it(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr", None)  # Closed when the process started.
    display.say("hidden")
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr("sys.stderr", closed)
    display.say("hidden")
    assert capsys.readouterr().out == ""
