"""Warnings where a run has not learned, and none where it has."""

import dataclasses
import re

import jax.numpy as jnp
import numpy as np
import pytest
from summaries import DECISIONS, JUDGEMENT, MEASURES

from ocjax import runs
from ocjax.methods import Method, Stage, State
from ocjax.runs import health

STATE = State({}, {}, {}, jnp.int32(0))
IMAGES = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), np.uint8)


def _method(reconstruct):
    score = lambda state, images: images.mean((1, 2, 3))
    return Method(
        lambda key, images: STATE, (Stage(score),), score, {}, reconstruct=reconstruct
    )


SAME = _method(lambda state, images: images)
HALF = _method(lambda state, images: images / 2)
ONE = _method(lambda state, images: jnp.zeros_like(images))


def _curve(errors):
    return [{"step": i, "held_out_error": error} for i, error in enumerate(errors)]


def test_errors_and_spread_are_those_of_the_pixels():
    floats = IMAGES / 127.5 - 1
    np.testing.assert_allclose(
        health.reconstruction(HALF, STATE, IMAGES).errors,
        np.square(floats / 2).mean((1, 2, 3)),
        rtol=1e-5,
    )
    assert health.reconstruction(SAME, STATE, IMAGES).spread == pytest.approx(1)
    assert health.reconstruction(HALF, STATE, IMAGES).spread == pytest.approx(0.5)
    assert health.reconstruction(ONE, STATE, IMAGES).spread == 0
    assert np.isnan(health.reconstruction(SAME, STATE, 0 * IMAGES).spread)


def test_the_error_of_the_mean_image_is_the_variance_about_it():
    images = np.full((2, 4, 4, 1), 255, np.uint8)
    images[1] = 0  # 1 and -1, of which the mean is 0.
    assert health.mean_image_error(images, images) == pytest.approx(1)


def test_few_steps_are_told_with_the_epochs_that_are_enough():
    (warning,) = health.of_training(45, 3, [], "my run")
    assert (
        "45 steps" in warning
        and "epochs=167; with --workdir='my run' the run goes on" in warning
    )
    (warning,) = health.of_training(45, None, [], "run")
    assert "set steps=500; with" in warning
    assert health.of_training(100, 3, [], "run") == []


def test_an_error_that_still_falls_is_told():
    (warning,) = health.of_training(500, 3, _curve([1, 0.9, 0.8, 0.7, 0.5, 0.3]), "run")
    assert "from 0.75 to 0.4" in warning and "Train longer" in warning


@pytest.mark.parametrize(
    "errors",
    [
        [1, 0.5, 0.2, 0.1, 0.09, 0.08],  # By little of what it was.
        [1, 0.2, 0.1, 0.2, 0.2, 0.3],
        [1, 0.1],  # Too few to tell.
        [],
    ],
)
def test_an_error_that_has_fallen_is_not(errors):
    assert health.of_training(500, 3, _curve(errors), "run") == []


def test_a_collapse_is_told():
    (warning,) = health.of_reconstructions(0.01, 0.1, 0.2)
    assert "hardly differ between pictures" in warning and "1.0%" in warning
    (warning,) = health.of_reconstructions(0.5, 0.3, 0.2)
    assert "no better (error 0.3) than by the mean training picture (0.2)" in warning
    assert health.of_reconstructions(0.5, 0.1, 0.2) == []
    assert health.of_reconstructions(np.nan, 0.1, 0.2) == []  # One picture only.


def test_scores_that_are_all_alike_are_told():
    assert "hardly differ" in health.of_scores(np.full(5, 3.0))[0]
    assert health.of_scores(np.array([3.0, 3.001])) and not health.of_scores(
        np.array([3.0, 3.3])
    )
    assert health.of_scores(np.array([3.0])) == []
    assert health.of_scores(np.zeros(3))


def _judgement(low=0.6, high=0.8, reached_low=0.01, reached_high=0.1):
    measures = dataclasses.replace(MEASURES, auroc_low=low, auroc_high=high)
    decisions = dataclasses.replace(
        DECISIONS, reached_low=reached_low, reached_high=reached_high
    )
    return dataclasses.replace(JUDGEMENT, measures=measures, decisions=decisions)


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"low": 0.45, "high": 0.6}, "no better than chance.*holds 0.5"),
        ({"low": 0.5, "high": 0.6}, "no better than chance"),
        ({"low": 0.3, "high": 0.4}, "score lower than good ones .AUROC 0.300 to 0.400"),
        ({"reached_low": 0.06, "reached_high": 0.2}, "6.0% to 20.0%, than the 5.0%"),
    ],
)
def test_results_that_say_nothing_are_told(changes, said):
    (warning,) = health.of_judgement(_judgement(**changes))
    assert re.search(said, warning)


def test_results_that_say_something_are_not():
    assert health.of_judgement(_judgement()) == []


def test_without_anomalies_or_a_promise_nothing_is_known():
    bad = _judgement(low=0.1, high=0.2, reached_low=0.5, reached_high=0.6)
    for unknown in ("promised_false_positive_rate", "decisions"):
        nothing = dataclasses.replace(bad, measures=None, **{unknown: None})
        assert health.of_judgement(nothing) == []


CONFIG = {
    "method": "autoencoder",
    "batch_size": 32,
    "report": False,
    "hyper": {"latent": 16, "features": 16, "learning_rate": 3e-3},
}


def test_a_run_that_learns_has_no_warnings_and_a_short_one_has(tmp_path, capsys):
    values = runs.configure(epochs=34, **CONFIG).to_dict()
    result = runs.launch(values, workdir=tmp_path / "long")
    assert isinstance(result, runs.Summary)
    assert result.warnings == () and (result.auroc or 0) > 0.9
    assert "Warning" not in capsys.readouterr().err
    # A batch is no larger than what trains.
    values = runs.configure(epochs=1, **CONFIG | {"batch_size": 1000}).to_dict()
    result = runs.launch(values, workdir=tmp_path / "short")
    assert isinstance(result, runs.Summary)
    assert result.training.steps == 1 and result.draw_seconds is None
    assert "fewer than any method needs" in result.warnings[0]
    lines = capsys.readouterr().err.splitlines()
    assert f"Warning: {result.warnings[0]}" in lines
    assert lines[0] == (
        "140 good pictures to train on; 34 good and 321 of 9 kinds to test. 21 of the "
        "first are held out for the threshold; 119 make a batch."
    )


def test_simple_scores_that_do_clearly_better_are_named_best_first():
    measures = dataclasses.replace(MEASURES, auroc=0.85, auroc_low=0.8, auroc_high=0.9)
    aurocs = {"mean image": 0.91, "pca": 0.962, "knn": 0.9}
    (warning,) = health.of_yardsticks(measures, aurocs)
    assert "than 0.850 (at most 0.900): pca 0.962, mean image 0.910." in warning
    assert health.of_yardsticks(measures, {"pca": 0.89}) == []
