"""Commands that judge what others have trained."""

import json
import os
import shutil
import subprocess
import sys

import keep
import pytest
from runs import commands


def run(script, *arguments):
    path = os.pathsep.join([str(commands.ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, commands.ROOT / "experiments" / script, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    commands.run_here(folder)
    return folder


def test_an_attack_on_the_detector_lowers_its_auroc(finished):
    code, output, error = run(
        "robustness.py", f"--run={finished}", "--radii=0.0005,0.1", "--images=40"
    )
    assert code == 0, error
    result = commands.result(output)
    aurocs = [row["auroc"] for row in result["radii"]]
    assert [row["radius"] for row in result["radii"]] == [0, 0.0005, 0.1]
    assert aurocs[0] > aurocs[1] >= aurocs[2]
    assert result["normals"] <= 40 and result["anomalies"] == 40
    assert json.loads((finished / "eval" / "robustness.json").read_text()) == result
    assert (finished / "plots" / "robustness.png").stat().st_size > 1000


def test_measures_are_judged_by_themselves(finished):
    code, output, error = run("measures.py", f"--run={finished}")
    assert code == 0, error
    found, told = json.loads(output), finished / "eval" / "summary.json"
    assert found["score"] == json.loads(told.read_text())["auroc"]
    assert 0 < found["squared error"] < 1


def test_measures_are_kept_with_the_result(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(keep, "HERE", tmp_path)
    (tmp_path / "classical").mkdir()
    run = shutil.copytree(finished, tmp_path / "run")
    environment = json.loads((run / "env.json").read_text())
    (run / "env.json").write_text(json.dumps(environment | {"commit": "abc"}))
    keep.main(["--data_dir=nowhere", str(run)])  # The digits need no folder.
    kept = json.loads((tmp_path / "classical" / "results.jsonl").read_text())
    assert kept["measures"]["score"] == kept["auroc"]


def test_a_run_is_judged_on_its_own_data_and_when_it_is_finished(finished, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(finished, other)
    told = json.loads((other / "run.json").read_text())
    (other / "run.json").write_text(json.dumps(told | {"data": "00000000"}))
    code, _, error = run("measures.py", f"--run={other}")
    assert code == 2 and "was trained on other data" in error
    (other / "eval" / "summary.json").unlink()
    code, _, error = run("measures.py", f"--run={other}")
    assert code == 2 and "is not finished" in error and error.count("\n") == 1


def test_robustness_of_nothing_costs_a_line(tmp_path, finished):
    code, _, error = run("robustness.py", f"--run={tmp_path / 'nowhere'}")
    assert code == 2 and "There is no run folder" in error and error.count("\n") == 1
    code, _, error = run("robustness.py", f"--run={finished}", "--radii=1,x")
    assert code == 2 and "--radii: expected numbers" in error
