"""A test of the computation, not a result: the videos are noise."""

import json
import os
import pathlib
import subprocess
import sys
from fractions import Fraction
from typing import Any

import jax
import numpy as np
import pytest
import releases

from ocjax import data, runs
from ocjax.data.sources import faces, registry
from ocjax.inference.run_folder import trained
from ocjax.methods import autoencoder
from ocjax.runs.folder import RunFolder
from ocjax.training.checkpoint import Checkpoints

ROOT = pathlib.Path(__file__).parents[2]
SOURCES = {"replay_attack": faces.replay_attack, "casia_mfsd": faces.casia_mfsd}
# The command, which knows the data sets whether or not they are registered.
COMMAND = """
import runpy, sys
from ocjax.data.sources import faces, registry
registry.SOURCES |= {n: getattr(faces, n) for n in ("replay_attack", "casia_mfsd")}
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def start(*arguments: object) -> subprocess.Popen:
    """Starts the command."""
    code = f"import sys; sys.argv[0] = {str(ROOT / 'experiments' / 'hter.py')!r}"
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", code + COMMAND, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process):
    """(exit code, standard output, standard error)."""
    output, error = process.communicate(timeout=300)
    return process.returncode, output, error


@pytest.fixture(autouse=True)
def prepared(tmp_path, monkeypatch):
    """Keeps the tests out of the user's cache; knows the data sets by their names."""
    monkeypatch.setenv("OCJAX_CACHE", str(tmp_path / "cache"))
    for name, source in SOURCES.items():
        monkeypatch.setitem(registry.SOURCES, name, source)


def task(**what):
    """A tiny run on genuine faces of Replay-Attack."""
    values = runs.configure(
        method="autoencoder",
        dataset="replay_attack",
        protocol="folder",
        normal_class="genuine",
        hyper={"latent": 3, "features": 2},
        batch_size=4,
        epochs=2,
        report=False,
    )
    return runs.load(values.to_dict(), 0, **what)


def scores_of_videos(detector, name, part, folder):
    """[(is an attack, mean score)], a video after another."""
    dataset: Any = faces.part(name, part, data_dir=folder, size=32)
    frames = {}
    scores = detector.score(dataset.images)
    for path, label, score in zip(dataset.paths, dataset.labels, scores, strict=True):
        frames.setdefault(path.split("#")[0], []).append((label != 0, float(score)))
    return [(of[0][0], sum(s for _, s in of) / len(of)) for of in frames.values()]


def rates(videos, threshold):
    """(attacks accepted, genuine rejected), as fractions."""
    attacks = [score for attack, score in videos if attack]
    genuine = [score for attack, score in videos if not attack]
    accepted = sum(score <= threshold for score in attacks)
    rejected = sum(score > threshold for score in genuine)
    return Fraction(accepted, len(attacks)), Fraction(rejected, len(genuine))


def equal_error_threshold(videos):
    """Of all mid-points that with the smallest difference of rates, and the lowest."""
    values = sorted({score for _, score in videos})
    candidates = [values[0] - 1]
    candidates += [(a + b) / 2 for a, b in zip(values, values[1:], strict=False)]
    candidates += [values[-1] + 1]
    best, chosen = Fraction(2), None
    for threshold in candidates:
        far, frr = rates(videos, threshold)
        if abs(far - frr) < best:
            best, chosen = abs(far - frr), threshold
    return chosen


def test_error_rates_are_those_of_the_rule_written_out(tmp_path):
    pytest.importorskip("av", reason="PyAV, the extra `video`, is not installed.")
    folder, run, out = (tmp_path / name for name in ("data", "run", "result.json"))
    releases.replay_attack(folder / "replay_attack")
    releases.casia_mfsd(folder / "casia_mfsd", subjects=(4, 3))
    runs.run(task(data_dir=folder), run)
    process = start(
        f"--run={run}",
        "--source=replay_attack",
        "--target=casia_mfsd",
        f"--data_dir={folder}",
        f"--out={out}",
    )
    code, output, error = end(process)
    assert code == 0, error
    result = json.loads(output.splitlines()[-1])
    assert json.loads(out.read_text()) == result
    assert len(output.splitlines()) == 1

    detector = trained(run)
    development = scores_of_videos(detector, "replay_attack", "development", folder)
    threshold = equal_error_threshold(development)
    far, frr = rates(development, threshold)
    # The same decisions; a mid-point of float32 means is one only up to rounding.
    assert result["threshold"] == pytest.approx(threshold, rel=1e-9)
    assert result["development_equal_error_rate"] == pytest.approx(float(far + frr) / 2)
    # Of devel two subjects, of test two and three: 2 and 3 genuine videos each.
    counts = {"within": (2 * 2, 2 * 6), "cross": (3 * 3, 3 * 9)}
    for name, dataset in (("within", "replay_attack"), ("cross", "casia_mfsd")):
        videos = scores_of_videos(detector, dataset, "test", folder)
        far, frr = rates(videos, threshold)
        found = result[name]
        assert found["attacks_accepted"] == pytest.approx(float(far))
        assert found["genuine_rejected"] == pytest.approx(float(frr))
        assert found["hter"] == pytest.approx(float(far + frr) / 2)
        assert (found["genuine"], found["attacks"]) == counts[name]
        wins = [
            (a > g) + (a == g) / 2
            for is_attack, a in videos
            if is_attack
            for not_genuine, g in videos
            if not not_genuine
        ]
        assert found["auroc"] == pytest.approx(np.mean(wins))
        assert found["auroc_low"] <= found["auroc"] <= found["auroc_high"]
    said = result["threshold_from"]
    assert "development part of replay_attack" in said
    assert "4 genuine videos and 12 attacks" in said and "no label of a test" in said
    assert "central squares" in result["notes"]["casia_mfsd"]
    assert result["method"] == "autoencoder" and result["finished"]


def untrained(path, **fields):
    """A run folder of an untrained detector, its configuration changed."""
    dataset = data.Dataset(
        "replay_attack",
        np.zeros((16, 32, 32, 3), np.uint8),
        np.repeat([0, 1], 8),
        np.tile([False, True], 8),
        ("genuine", "print"),
    )
    what, folder = task(dataset=dataset), RunFolder(path)
    known = what.known().to_json()
    known["config"] |= fields
    folder.open(known)
    folder.close()
    method = autoencoder.autoencoder(what.hyper)
    images = np.zeros((1, 32, 32, 3), np.float32)
    like = jax.eval_shape(method.init, jax.random.key(0), images)
    with Checkpoints(folder.checkpoints) as checkpoints:
        checkpoints.save(jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), like))
    return path


def test_mistakes_cost_one_line(tmp_path):
    run, pooled = f"--run={untrained(tmp_path / 'run')}", tmp_path / "pooled"
    pooled = f"--run={untrained(pooled, protocol='p1')}"
    source, target = "--source=replay_attack", "--target=casia_mfsd"
    other = ["--source=casia_mfsd", "--target=replay_attack"]
    mistakes = {
        "must have a value": [run, source],
        "There is no run folder": ["--run=nowhere", source, target],
        "'replay_attack', not on 'casia_mfsd'": [run, *other],
        "expected 'folder' on 'genuine'": [pooled, source, target],
    }
    processes = {
        said: start(f"--data_dir={tmp_path}", *given)
        for said, given in mistakes.items()
    }
    for said, process in processes.items():
        code, output, error = end(process)
        assert code == 2, (said, error)
        assert said in error
        assert len(error.strip().splitlines()) == 1, error
        assert output == ""
