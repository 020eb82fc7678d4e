"""Killed anywhere, the same command ends in the same bits."""

import json
import re
import signal

import jax
import numpy as np
import pytest
from commands import (
    AS_PLAIN,
    EPOCHS,
    PLAIN,
    TINY,
    result,
    run,
    run_here,
    start,
    tiny,
    wait_for_checkpoint,
)

from ocjax import methods, runs
from ocjax._checks import InputError
from ocjax.training import passes
from ocjax.training.checkpoint import Checkpoints


def _final_state(workdir):
    config = json.loads((workdir / "run.json").read_text())["config"]
    own, build = methods.METHODS[config["method"]]
    init = build(own(**config["hyper"])).init
    like = jax.eval_shape(init, jax.random.key(0), np.zeros((1, 32, 32, 1), np.float32))
    with Checkpoints(workdir / "checkpoints") as checkpoints:
        state = checkpoints.restore(like)
    assert state is not None
    return state


def _assert_same(workdir, other):
    """Equal to the last bit: state, scores, and every logged loss."""
    a, b = _final_state(workdir), _final_state(other)
    assert a.step == EPOCHS * 3
    jax.tree.map(np.testing.assert_array_equal, a, b)
    scores = [(d / "eval" / "scores.csv").read_text() for d in (workdir, other)]
    assert scores[0] == scores[1]
    logs = []
    for folder in (workdir, other):
        rows = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
        timing = ("seconds", "images_per_second")
        logs.append([{k: v for k, v in r.items() if k not in timing} for r in rows])
    assert logs[0] == logs[1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run."""
    workdir = tmp_path_factory.mktemp("whole") / "run"
    code, output, error = run(*TINY, f"--workdir={workdir}", cwd=workdir.parent)
    assert code == 0, error
    return workdir, result(output)


def _stopped(workdir, process, number):
    """Stops a process by a signal after its first checkpoint; its standard error."""
    wait_for_checkpoint(workdir, process)
    process.send_signal(number)
    return process.communicate(timeout=120)[1]


def test_a_killed_run_resumes_to_the_same_bits(whole, tmp_path):
    workdir = tmp_path / "run"
    command = [*PLAIN, f"--workdir={workdir}"]
    _stopped(workdir, start(*command, cwd=tmp_path), signal.SIGKILL)
    assert not (workdir / "eval").exists()
    code, _, error = run(*command, cwd=tmp_path)
    assert code == 0, error
    assert "Resuming" in error
    _assert_same(workdir, whole[0])


def test_a_killed_run_of_streamed_images_resumes_to_the_same_bits(tmp_path, capsys):
    workdir, whole = tmp_path / "run", tmp_path / "whole"
    # Of two networks with an optimizer each.
    changes = {"method": "ganomaly", "memory_budget_mb": 0}
    run_here(whole, **changes)
    command = [*tiny("ganomaly"), "--config.report=False", f"--workdir={workdir}"]
    command += ["--config.memory_budget_mb=0"]
    _stopped(workdir, start(*command, cwd=tmp_path), signal.SIGKILL)
    assert not (workdir / "eval").exists()
    run_here(workdir, **changes)
    assert "Resuming" in capsys.readouterr().err
    _assert_same(workdir, whole)


def test_a_killed_sweep_goes_on_and_its_runs_have_the_bits_of_single_ones(
    whole, tmp_path, capsys
):
    workdir = tmp_path / "sweep"
    command = [*PLAIN, "--config.seeds=2", f"--workdir={workdir}"]
    process = start(*command, cwd=tmp_path)
    wait_for_checkpoint(workdir / "8-seed1", process)
    process.kill()
    process.communicate()
    assert not (workdir / "table.md").exists()
    mean = run_here(workdir, seeds=2)["auroc_mean"]
    error = capsys.readouterr().err
    assert not list(workdir.rglob("*.html")) + list(workdir.rglob("plots"))
    assert "8-seed0 is finished" in error and "Resuming" in error
    _assert_same(workdir / "8-seed0", whole[0])  # A run alone.
    folders = [workdir / "8-seed0", workdir / "8-seed1"]
    aurocs = [
        json.loads((f / "eval" / "summary.json").read_text())["auroc"] for f in folders
    ]
    assert mean == pytest.approx(sum(aurocs) / 2)


def test_a_run_in_use_is_refused_to_others(tmp_path):
    workdir = tmp_path / "run"
    process = start(*PLAIN, f"--workdir={workdir}", cwd=tmp_path)
    wait_for_checkpoint(workdir, process)
    process.send_signal(signal.SIGSTOP)  # So that it does not end before.
    try:
        with pytest.raises(InputError, match=f"in use by process {process.pid}") as one:
            run_here(workdir)
        assert "\n" not in str(one.value)
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    "number, exit_status, message",
    [(signal.SIGTERM, 75, "Stopped on request"), (signal.SIGINT, 130, "Interrupted")],
)
def test_signals_save_and_the_run_resumes_to_the_same_bits(
    whole, tmp_path, number, exit_status, message
):
    workdir = tmp_path / "run"
    process = start(*PLAIN, f"--workdir={workdir}", cwd=tmp_path)
    error = _stopped(workdir, process, number)
    assert process.returncode == exit_status
    assert re.search(f"{message}; (saved after step|what is trained is saved)", error)
    assert "Traceback" not in error
    assert not (workdir / ".lock").exists()
    run_here(workdir)
    _assert_same(workdir, whole[0])


def test_a_finished_run_shows_its_result_and_trains_nothing(whole):
    workdir, summary = whole
    before = {p: p.stat().st_mtime_ns for p in workdir.rglob("*") if p.is_file()}
    code, output, error = run(*TINY, f"--workdir={workdir}", cwd=workdir.parent)
    assert code == 0
    assert "is finished" in error
    assert result(output) == summary
    assert before == {
        p: p.stat().st_mtime_ns for p in workdir.rglob("*") if p.is_file()
    }


def test_a_run_that_is_lengthened_has_the_bits_of_a_longer_one(whole, tmp_path, capsys):
    workdir, half = tmp_path / "run", EPOCHS // 2
    assert run_here(workdir, epochs=half)["epochs"] == half
    # How a run is carried out may change too.
    others = {"checkpoint_epochs": 7, "checkpoint_seconds": 5}
    others |= {"memory_budget_mb": 100, "models_at_once": 2}
    result = run_here(workdir, **others)
    assert result["epochs"] == EPOCHS
    error = capsys.readouterr().err
    assert "Resuming" in error and f"after step {3 * half}" in error
    a, b = _final_state(workdir), _final_state(whole[0])
    jax.tree.map(np.testing.assert_array_equal, a, b)
    assert result["auroc"] == whole[1]["auroc"]


def test_another_configuration_is_refused_with_the_difference(whole):
    workdir, _ = whole
    code, _, error = run(
        *TINY, "--config.batch_size=16", f"--workdir={workdir}", cwd=workdir.parent
    )
    assert code == 2
    assert "batch_size 32 -> 16" in error
    assert len(error.strip().splitlines()) == 1


def test_the_run_folder_is_complete(whole):
    workdir, summary = whole
    files = {str(p.relative_to(workdir)) for p in workdir.rglob("*") if p.is_file()}
    assert files >= {
        "run.json",
        "env.json",
        "metrics.jsonl",
        "eval/held_out.csv",
        "eval/scores.csv",
        "eval/summary.json",
        "plots/image_grid.png",
        "plots/roc.png",
        "plots/score_histogram.png",
        "plots/training_curves.png",
        "report.html",
    }
    assert list(workdir.glob("tensorboard/events.*"))
    assert not [f for f in files if f.endswith(".tmp")]
    lines = (workdir / "eval" / "scores.csv").read_text().splitlines()
    assert lines[0] == "index,label,anomalous,score,decision,p_value"
    assert len(lines) == 1 + summary["normals"] + summary["anomalies"]
    assert {"method", "dataset", "protocol", "normal_class", "seed", "epochs"} <= set(
        summary
    )
    assert {"auroc", "auroc_low", "auroc_high", "images_per_second"} <= set(summary)
    assert {"compile_seconds", "workdir", "first_step_seconds"} <= set(summary)


def test_the_python_functions_do_what_the_command_does(whole, tmp_path):
    workdir, summary = whole
    config = runs.configure(**AS_PLAIN | {"report": True})
    task = runs.load(config.to_dict(), seed=0)
    again = runs.run(task, tmp_path / "run", profile_steps=2)
    assert again is not None and again.auroc == summary["auroc"]
    assert list((tmp_path / "run" / "profile").rglob("*.xplane.pb"))
    _assert_same(tmp_path / "run", workdir)


def test_a_pass_that_was_broken_off_goes_on_from_its_sums(tmp_path, monkeypatch):
    config = runs.configure(
        method="pca",
        batch_size=4,  # Sixteen are one piece.
        checkpoint_seconds=1e-6,
        report=False,
        hyper={"components": 5},
    )
    task = runs.load(config.to_dict(), seed=0)
    expected = runs.run(task, tmp_path / "whole")
    assert expected is not None and expected.warnings == ()
    assert expected.training.steps == 30
    assert expected.identity.epochs == 0  # They mean nothing to it.

    def break_off(*_):
        raise OSError("The power is gone.")

    with monkeypatch.context() as patch:
        patch.setattr(passes, "finish", break_off)
        with pytest.raises(OSError, match="power"):
            runs.run(task, tmp_path / "broken")
    steps = [int(path.name) for path in (tmp_path / "broken" / "checkpoints").iterdir()]
    assert 0 < max(steps) < 30  # In the middle, with sums and without components.
    begun, begin = [], passes.begin
    monkeypatch.setattr(passes, "begin", lambda *a: begun.append(a) or begin(*a))
    again = runs.run(task, tmp_path / "broken")
    assert not begun and again is not None
    assert again.judgement == expected.judgement
    scores = [
        (tmp_path / name / "eval" / "scores.csv").read_text()
        for name in ("whole", "broken")
    ]
    assert scores[0] == scores[1]
