"""Scores by the largest value of a heatmap, by hand and beside what is drawn."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_methods

from ocjax import Detector, inference
from ocjax._checks import InputError
from ocjax.evaluation import heatmaps
from ocjax.inference import onnx, opening, stablehlo
from ocjax.methods import Method, preprocessing, residuals, tiling
from ocjax.runs.build import build_method
from ocjax.runs.config import parse

PICTURES = jax.random.uniform(jax.random.key(0), (3, 32, 32, 1), minval=-1, maxval=1)


def toy(**parts) -> Any:
    """A method whose own score is of no use."""
    score = lambda state, x: -jnp.ones(len(x))
    return Method(None, (), score, {}, **parts)  # pyright: ignore[reportArgumentType]


def test_a_score_is_the_peak_of_the_smoothed_residual_by_hand():
    method = residuals.scored_by_map(toy(reconstruct=lambda state, x: 0 * x + 0.2))
    constant = jnp.full((1, 32, 32, 3), 0.5)
    np.testing.assert_allclose(method.score(None, constant), [0.3], rtol=1e-5)
    # The deviation is one pixel of 32; a spot keeps its share of both directions.
    spot = jnp.full((1, 32, 32, 2), 0.2).at[0, 16, 16, 0].set(0.8)
    share = 1 / np.exp(-(np.arange(-16, 16) ** 2) / 2).sum()
    expected = 0.6 / 2 * share**2
    np.testing.assert_allclose(method.score(None, spot), [expected], rtol=1e-5)


def test_one_bright_place_counts_for_more_than_a_little_everywhere():
    method = residuals.scored_by_map(toy(reconstruct=lambda state, x: 0 * x))
    everywhere = jnp.full((32, 32, 1), 0.1)
    place = jnp.zeros((32, 32, 1)).at[8:11, 8:11].set(0.5)
    both = jnp.stack([everywhere, place])
    assert jnp.square(both).mean((1, 2, 3)).argmax() == 0
    low, high = method.score(None, both)
    np.testing.assert_allclose(low, 0.1, rtol=1e-5)
    assert high > 0.35


@pytest.mark.parametrize("name", ["autoencoder", "pca", "skip_ganomaly", "lrgdan"])
def test_a_score_is_the_largest_value_of_the_heatmap_that_is_drawn(name):
    build, config = tiny_methods.METHODS[name]
    inner = build(config)
    state = inner.init(jax.random.key(0), PICTURES)
    method = residuals.scored_by_map(inner)
    _, before = heatmaps.explained(inner)(state, PICTURES)
    scores, after = heatmaps.explained(method)(state, PICTURES)
    np.testing.assert_array_equal(before, after)
    np.testing.assert_allclose(scores, before.max((1, 2)), rtol=1e-6)


def test_tiles_are_scored_by_the_heatmap_of_the_whole_picture():
    tiles = tiling.tiled(toy(reconstruct=lambda state, x: x / 2), 16, overlap=0.3)
    method = residuals.scored_by_map(tiles)
    scores, maps = heatmaps.explained(method)(None, PICTURES)
    expected = residuals.smooth(jnp.abs(PICTURES[..., 0]) / 2)
    np.testing.assert_allclose(maps, expected, rtol=1e-5)
    np.testing.assert_allclose(scores, expected.max((1, 2)), rtol=1e-5)


def test_heatmaps_of_a_method_s_own_are_taken():
    method = residuals.scored_by_map(
        toy(anomaly_map=lambda state, x: jnp.abs(x).sum(-1), reconstruct=lambda s, x: x)
    )
    expected = jnp.abs(PICTURES).max((1, 2, 3))
    np.testing.assert_array_equal(method.score(None, PICTURES), expected)


def test_what_has_no_heatmap_is_refused_in_a_line():
    with pytest.raises(InputError, match="set config.score_from to method") as error:
        residuals.scored_by_map(toy())
    assert "\n" not in str(error.value)
    standardized = preprocessing.standardized(
        toy(reconstruct=lambda state, x: x), [0.5], [0.2]
    )
    with pytest.raises(InputError, match="pixels that are not standardized"):
        residuals.scored_by_map(standardized)
    for changes, message in (
        ({"method": "knn"}, "for methods that reconstruct"),
        (
            {"method": "ganomaly", "paper_code": {"batch_statistics": "ordered"}},
            "batch_statistics` is for the method's own scores",
        ),
    ):
        config, hyper, _ = parse({"score_from": "map"} | changes)
        with pytest.raises(InputError, match=message):
            build_method(config, hyper, None)


def test_a_saved_detector_and_its_export_score_by_the_heatmap(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (24, 32, 32, 1), np.uint8)
    options = {"image_size": 32, "false_positive_rate": 0.3, "random_state": 0}
    detector = Detector("pca", score_from="map").set_params(**options).fit(images)
    verdicts = detector.judge(images, explain=True)
    assert verdicts.heatmaps is not None
    peaks = verdicts.heatmaps.max((1, 2))
    np.testing.assert_allclose(verdicts.scores, peaks, rtol=1e-5)
    saved = detector.save(tmp_path / "detector.ocjax")
    np.testing.assert_array_equal(
        inference.open(saved).score(images), detector.scorer.score(images)
    )
    for kind in (stablehlo, onnx):
        exported = tmp_path / "exported"
        kind.save(exported, *opening.parts(saved))
        scores = inference.open(exported).score(images)
        np.testing.assert_allclose(scores, peaks, rtol=1e-4)
