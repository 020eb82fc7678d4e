"""When training has converged: on made curves, and a run that ends by it."""

import pytest

from ocjax import runs
from ocjax._checks import InputError
from ocjax.runs import convergence
from ocjax.runs.convergence import converged
from ocjax.runs.folder import RunFolder

FLAT = [8.0, 4.0, 2.0, 1.2, 1.1, 1.0, 1.0, 1.0, 1.0, 1.0]


def test_a_flat_curve_has_converged_and_a_falling_one_has_not():
    # Medians 1.0 after 2.0; 1.0 after 1.0.
    assert not converged(FLAT)
    assert converged([*FLAT, 1.0, 1.0, 1.0])
    assert not converged([1.0] * 9)


def test_a_fall_of_a_hundredth_counts_as_none_and_one_of_a_tenth_as_some():
    assert converged([1.0] * 5 + [0.99] * 5)
    assert not converged([1.0] * 5 + [0.9] * 5)


def test_a_rising_curve_has_converged_and_one_look_decides_nothing():
    assert converged([1.0] * 5 + [1.5] * 5)
    assert not converged([1.0] * 5 + [0.5, 0.5, 0.5, 9.0, 9.0])


def test_above_the_bound_nothing_has_converged():
    assert not converged([1.0] * 10, bound=1.0)
    assert converged([1.0] * 10, bound=1.1)


def test_a_curve_near_nothing_has_converged_though_it_falls():
    assert converged([1.0, *[0.01] * 4, *[0.005] * 5])


def _configuration(**changes):
    settings = {
        "method": "autoencoder",
        "until": "converged",
        "steps": 40,
        "batch_size": 64,
        "report": False,
        "hyper": {"latent": 3, "features": 2},
    }
    return runs.configure(**settings | changes).to_dict()


def test_a_run_ends_when_it_has_converged_and_resumes_to_the_same(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(convergence, "LOOK_STEPS", 2)
    monkeypatch.setattr(convergence, "PATIENCE", 2)
    monkeypatch.setattr(convergence, "FLAT", 10.0)  # Any curve is flat.
    monkeypatch.setattr("ocjax.runs.health.mean_image_error", lambda *_: 1e9)
    monkeypatch.setattr("ocjax.runs.health.FEWEST_STEPS", 1)
    task = runs.load(_configuration(), seed=0)
    summary = runs.run(task, tmp_path / "run")
    per_epoch = len(task.split.train) // 64
    steps = 4 * -(-2 // per_epoch) * per_epoch  # Four looks.
    assert summary is not None and summary.training.steps == steps < 40
    rows = RunFolder(tmp_path / "run").metrics()
    signs = [row["erased_auroc"] for row in rows if "erased_auroc" in row]
    assert len(signs) == 4 and signs[-1] == summary.synthetic["erased"]
    (tmp_path / "run" / "eval" / "summary.json").unlink()  # Killed while it judged.
    again = runs.run(task, tmp_path / "run")
    assert again.training.steps == steps and again.auroc == summary.auroc


def test_what_cannot_converge_is_refused(tmp_path):
    task = runs.load(_configuration(method="pca", hyper={}), seed=0)
    with pytest.raises(InputError, match="pca takes no steps"):
        runs.run(task, tmp_path / "run")
    assert not (tmp_path / "run").exists()
