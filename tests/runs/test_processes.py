"""A job of two real processes on this machine."""

import os
import pathlib
import signal
import socket

import numpy as np
from commands import PLAIN, result, run, run_here, start, wait_for_checkpoint

from ocjax.cli import cluster

DEVICES = "--xla_force_host_platform_device_count=2"


def _start_both(*arguments: str, cwd: pathlib.Path, **options):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    job = [f"--coordinator=localhost:{port}", "--num_processes=2"]
    return [
        start(
            *arguments,
            *job,
            f"--process_id={i}",
            "--config.devices=0",
            cwd=cwd,
            **options,
        )
        for i in range(2)
    ]


def _finish(both):
    return [(p.communicate(timeout=300), p.returncode) for p in both]


def _scores(workdir):
    rows = (workdir / "eval" / "scores.csv").read_text().splitlines()[1:]
    return np.array([float(row.split(",")[3]) for row in rows])


def _worker(process) -> int:
    """The process that works under the one that was started."""
    tasks = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return int(tasks.read_text().split()[0])


def test_a_killed_process_ends_the_job_which_the_same_command_resumes(tmp_path):
    command = [*PLAIN, f"--workdir={tmp_path / 'both'}"]
    both = _start_both(*command, cwd=tmp_path)
    wait_for_checkpoint(tmp_path / "both", both[0])
    os.kill(_worker(both[1]), signal.SIGKILL)
    ((_, error), code), _ = _finish(both)
    assert code == cluster.TRY_AGAIN
    assert error.splitlines()[-1] == cluster.LOST
    assert "Traceback" not in error
    ((output, error), code), ((silent, _), other) = _finish(
        _start_both(*command, cwd=tmp_path)
    )
    assert (code, other) == (0, 0) and "{" not in silent, error
    assert "Resuming" in error
    # Two devices of one process do the same arithmetic.
    code, expected, error = run(
        *PLAIN,
        "--config.devices=2",
        f"--workdir={tmp_path / 'one'}",
        cwd=tmp_path,
        XLA_FLAGS=f"{os.environ['XLA_FLAGS']} {DEVICES}",
    )
    assert code == 0, error
    np.testing.assert_allclose(
        _scores(tmp_path / "both"), _scores(tmp_path / "one"), rtol=1e-3
    )
    near = abs(result(output)["auroc"] - result(expected)["auroc"])
    assert near < 0.01


def test_processes_of_either_command_share_out_models(tmp_path):
    command = [*PLAIN, "--config.epochs=2", "--config.seeds=2"]
    folder = f"--workdir={tmp_path / 'both'}"
    ((output, error), code), ((silent, _), other) = _finish(
        _start_both(*command, folder, cwd=tmp_path, ocjax=True)
    )
    assert (code, other) == (0, 0) and "{" not in silent, error
    assert result(output)["seeds"] == 2
    run_here(tmp_path / "one", epochs=2, seeds=2)
    for name in ("8-seed0", "8-seed1"):
        scores = [_scores(tmp_path / which / name) for which in ("both", "one")]
        np.testing.assert_allclose(*scores, rtol=1e-3)
