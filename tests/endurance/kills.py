"""Runs that are killed at random moments, and started again until they finish."""

import dataclasses
import os
import pathlib
import shutil
import signal
import socket
import time
from collections.abc import Callable, Mapping

import numpy as np
import work

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
AGAIN = 6  # Kills of one folder, after which it is let finish.
STOPPED = 60  # Seconds within which a signalled command must have ended.


@dataclasses.dataclass(frozen=True)
class Case:
    """What is started: one process, or all of a job."""

    name: str
    arguments: Callable[[pathlib.Path], list[list[str]]]
    expected: int  # Share of the kills, in hundredths.


def _train(data: str, *more: str) -> Callable[[pathlib.Path], list[list[str]]]:
    fixed = ["-m", "ocjax", "train", data, *work.TINY, *more]
    return lambda folder: [[*fixed, f"--workdir={folder}"]]


def _job(folder: pathlib.Path) -> list[list[str]]:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    program = str(work.ROOT / "experiments" / "train.py")
    config = work.ROOT / "experiments" / "autoencoder" / "digits.py"
    fixed = [
        program,
        f"--config={config}",
        "--config.hyper.latent=3",
        "--config.hyper.features=2",
        "--config.batch_size=32",
        "--config.epochs=40",
        "--config.checkpoint_epochs=2",
        "--config.report=False",
        "--config.devices=0",
        f"--workdir={folder}",
        f"--coordinator=localhost:{port}",
        "--num_processes=2",
    ]
    return [[*fixed, f"--process_id={i}"] for i in range(2)]


_OFTEN = ("--set=checkpoint_epochs=2", "--set=log_every=1")
CASES = (
    Case(
        "run",
        _train("pics", *_OFTEN, "--epochs=80", "--set=report=False"),
        45,
    ),
    Case("run with a report", _train("pics", *_OFTEN, "--epochs=20"), 20),
    Case(
        "sweep of three classes and seeds",
        _train(
            "digits",
            *_OFTEN,
            "--epochs=20",
            "--normal_class=random",
            "--set=seeds=3",
            "--set=batch_size=32",
            "--set=report=False",
        ),
        20,
    ),
    Case("job of two processes", _job, 15),
)


def main(count: int, seed: int, folder: pathlib.Path, only: str) -> None:
    """Kills about `count` times."""
    work.make_pictures(folder / "pics")
    for case in CASES:
        if only in case.name:
            _try(case, max(1, round(count * case.expected / 100)), seed, folder)


def _try(case: Case, count: int, seed: int, folder: pathlib.Path) -> None:
    rng = np.random.default_rng([seed, *case.name.encode()])
    tally = work.Tally(
        "kills",
        case.name,
        dict.fromkeys(("lost bits", "failed resumes", "tracebacks", "hangs"), 0),
    )
    begin = time.monotonic()
    whole, life = _whole(case, folder)
    while tally.tried < count:
        path = folder / "killed"
        shutil.rmtree(path, ignore_errors=True)
        if _until_finished(case, path, life, count, rng, tally):
            tally.outcomes["runs resumed"] += 1
            if wrong := _wrong(path, whole):
                tally.fault("lost bits", wrong)
        tally.progress()
    work.record(tally, seed, time.monotonic() - begin)


def _whole(case: Case, folder: pathlib.Path) -> tuple[Mapping, float]:
    """What a run holds that nothing stopped, and how long it took once compiled."""
    path, life = folder / "whole", 0.0
    for _ in range(2):
        shutil.rmtree(path, ignore_errors=True)
        begin = time.monotonic()
        codes, errors = _start(case, path).ended(work.LIMIT)
        life = time.monotonic() - begin
        assert set(codes) == {0}, errors
    return _all(path), life


class _start:
    """The processes of a case."""

    def __init__(self, case: Case, path: pathlib.Path):
        self.commands = [
            work.Command(arguments, path.parent) for arguments in case.arguments(path)
        ]

    def ended(self, seconds: float) -> tuple[list[int | None], str]:
        """Exit codes, None for one that had to be killed, and what they said."""
        until = time.monotonic() + seconds
        codes = [x.wait(max(0.1, until - time.monotonic())) for x in self.commands]
        for command in self.commands:
            command.end()
        return codes, "\n".join(x.said()[1] for x in self.commands)

    def runs_for(self, seconds: float) -> bool:
        """Whether all of them still run after so long."""
        until = time.monotonic() + seconds
        return all(
            x.wait(max(0.001, until - time.monotonic())) is None for x in self.commands
        )


def _until_finished(case, path, life, count, rng, tally: work.Tally) -> bool:
    """Whether it ended well, killed as often as may be."""
    for attempt in range(AGAIN + 1):
        job = _start(case, path)
        may = attempt < AGAIN and tally.tried < count
        if may and job.runs_for(rng.uniform(0, life)):
            number, stage = rng.choice(SIGNALS), _stage(path, job.commands[0].errors())
            _signal(job.commands[rng.integers(len(job.commands))], number)
            # Processes wait minutes for one that never began; a scheduler ends them.
            waiting = stage == "starting" and len(job.commands) > 1
            codes, errors = job.ended(2 if waiting else STOPPED)
            tally.tried += 1
            tally.outcomes[signal.Signals(number).name] += 1
            tally.outcomes[f"while {stage}"] += 1
            what = f"{signal.Signals(number).name}, while {stage}, exit {codes}"
            if None in codes and not waiting:
                tally.fault("hangs", what, errors)
            if work.has_traceback(errors):
                tally.fault("tracebacks", what, errors)
            if set(codes) == {0}:  # It was just about to end.
                return True
            continue
        codes, errors = job.ended(work.LIMIT)
        if set(codes) == {0}:
            return True
        kind = "hangs" if None in codes else "failed resumes"
        tally.fault(kind, f"exit {codes}", errors)
        return False
    return False


def _signal(command: work.Command, number: int) -> None:
    """Reaches the process that works, where another one watches over it."""
    pid = command.process.pid
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
    try:
        below = children.read_text().split()
        watched = below and b"train.py" in pathlib.Path(
            f"/proc/{below[0]}/cmdline"
        ).read_bytes().replace(b"\0", b" ")
        os.kill(int(below[0]) if watched else pid, number)
    except (OSError, ProcessLookupError):
        pass  # It ended meanwhile.


def _runs(path: pathlib.Path) -> list[pathlib.Path]:
    """Folders of single runs."""
    return sorted(x.parent for x in [*path.glob("env.json"), *path.glob("*/env.json")])


def _stage(path: pathlib.Path, errors: str) -> str:
    """What the command was doing, as its folder and what it has said show."""
    runs = _runs(path)
    if not any(word in errors for word in ("Compiling", "Resuming", "epoch ")):
        return "starting"
    going_on = [x for x in runs if not (x / "eval" / "summary.json").exists()]
    if not runs or not any((x / "checkpoints").exists() for x in runs):
        return "starting"
    if not going_on:
        return "ending"
    last = going_on[0]
    if (last / "eval").exists():
        return "judging or drawing"
    if [*last.glob("checkpoints/*tmp*")]:
        return "saving"
    return "training"


def _all(path: pathlib.Path) -> dict[str, bytes]:
    found = {}
    for run in _runs(path):
        own = work.contents(run)
        found |= {f"{run.relative_to(path)}: {k}": v for k, v in own.items()}
    if (path / "table.md").exists():
        found["table.md"] = (path / "table.md").read_bytes()
    return found


def _wrong(path: pathlib.Path, whole: Mapping[str, bytes]) -> str:
    """What a resumed run has lost or left behind; empty if nothing."""
    differ = work.differing(_all(path), whole)
    left = [str(x.relative_to(path)) for x in path.rglob("*") if "tmp" in x.suffix]
    left += [str(x.relative_to(path)) for x in path.glob("**/checkpoints/*tmp*")]
    parts = [f"differ: {', '.join(differ[:5])}"] * bool(differ)
    return "; ".join(parts + [f"left behind: {', '.join(left)}"] * bool(left))
