"""Tiles of larger pictures."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_methods

from ocjax._checks import InputError
from ocjax.data import map_images
from ocjax.evaluation import heatmaps
from ocjax.methods import Method, Pass, Stage, tiling


def toy() -> Any:
    """Scores the mean, reconstructs as it is."""
    mean = lambda state, x: x.mean((1, 2, 3))
    return Method(lambda key, x: x.shape, (), mean, {}, lambda state, x: x)


@pytest.mark.parametrize(
    ("side", "size", "overlap", "expected"),
    [
        (64, 32, 0.5, [0, 16, 32]),
        (64, 32, 0.0, [0, 32]),
        (70, 32, 0.0, [0, 19, 38]),  # Evenly, so more overlap than asked for.
        (32, 32, 0.5, [0]),
    ],
)
def test_tiles_cover_a_side_evenly(side, size, overlap, expected):
    assert tiling.starts(side, size, overlap) == expected


@pytest.mark.parametrize("side", [32, 50, 100])
def test_every_pixel_is_in_a_tile_and_stitching_is_exact(side):
    pictures = jax.random.uniform(jax.random.key(0), (2, side, side, 3))
    found = tiling.tiled(toy(), 32, overlap=0.3).reconstruct(None, pictures)
    np.testing.assert_allclose(found, pictures, rtol=1e-6)


def test_a_score_is_of_the_worst_tile_or_of_all_by_hand():
    pictures = np.zeros((2, 64, 64, 1), np.float32)
    pictures[1, :32, 32:] = 1  # One tile of 32 wholly, its neighbours by half.
    most = tiling.tiled(toy(), 32).score(None, pictures)
    np.testing.assert_allclose(most, [0, 1])
    mean = tiling.tiled(toy(), 32, overlap=0.0, reduction="mean").score(None, pictures)
    np.testing.assert_allclose(mean, [0, 0.25])


def test_training_sees_every_place_of_each_picture():
    pictures = jnp.broadcast_to(jnp.arange(40.0)[None, :, None, None], (64, 40, 40, 1))
    tiles = tiling.random_tiles(pictures, jax.random.key(0), 32)
    assert tiles.shape == (64, 32, 32, 1)
    np.testing.assert_array_equal(np.unique(tiles[:, 0, 0, 0]), np.arange(9))
    np.testing.assert_array_equal(tiles[:, -1, 0, 0] - tiles[:, 0, 0, 0], 31)


@pytest.mark.parametrize("name", tiny_methods.MAIN)
def test_every_method_trains_scores_and_explains_pictures(name):
    builder, config = tiny_methods.MAIN[name]
    inner = builder(config)
    method = tiling.tiled(inner, 32)
    pictures = jax.random.uniform(jax.random.key(0), (4, 48, 48, 1), minval=-1)
    state = jax.jit(method.init)(jax.random.key(1), pictures)
    like = jax.eval_shape(inner.init, jax.random.key(1), pictures[:, :32, :32])
    assert jax.tree.map(jnp.shape, state) == jax.tree.map(jnp.shape, like)
    step = functools.partial(tiny_methods.step_of_each_stage, method)
    if method.computes:
        state, _ = step(state, pictures, jax.random.key(2))
    else:
        after, _ = jax.eval_shape(step, state, pictures, jax.random.key(2))
        assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, like)
    scores, maps = map_images(
        heatmaps.explained(method), np.asarray(pictures), arguments=(state,), chunk=4
    )
    corners = [pictures[:, i : i + 32, j : j + 32] for i in (0, 16) for j in (0, 16)]
    expected = np.max([inner.score(state, tile) for tile in corners], axis=0)
    np.testing.assert_allclose(scores, expected, rtol=1e-4)
    assert maps.shape == (4, 48, 48)


def test_tiles_larger_than_pictures_are_refused_before_training():
    method = tiling.tiled(toy(), 8)
    with pytest.raises(InputError, match="cannot be larger than pictures"):
        method.init(jax.random.key(0), jnp.zeros((1, 4, 4, 1)))


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match="Unknown tile reduction 'median'"):
        tiling.tiled(toy(), 32, reduction="median")
    with pytest.raises(InputError, match="overlap of tiles"):
        tiling.tiled(toy(), 32, overlap=1.0)
    with pytest.raises(InputError, match="cannot be larger"):
        tiling.starts(32, 64, 0.5)


def test_a_grade_is_that_of_the_most_atypical_tile_or_of_all_by_hand():
    mean = lambda state, x: x.mean((1, 2, 3))
    grading = toy()._replace(stages=(Stage(lambda *_: None, grade=mean),))
    pictures = np.zeros((2, 64, 64, 1), np.float32)
    pictures[1, :32, 32:] = 1
    for reduction, expected in (("max", [0, 1]), ("mean", [0, 0.25])):
        method = tiling.tiled(grading, 32, overlap=0.0, reduction=reduction)
        grades = method.stages[0].grade(None, pictures)
        np.testing.assert_allclose(grades, expected)


def test_an_error_is_that_of_the_worst_tile_as_a_score_is():
    inner = toy()
    tiles = tiling.tiled(inner._replace(error=inner.score), 32)
    pictures = np.zeros((2, 64, 64, 1), np.float32)
    pictures[1, :32, 32:] = 1
    np.testing.assert_allclose(tiles.error(None, pictures), [0, 1])


def test_a_pass_sees_every_tile_of_each_picture_once():
    def add(state, sums, tiles, numbers):
        rows = jnp.where(numbers < 0, len(sums["tiles"]), numbers)
        return {"tiles": sums["tiles"].at[rows].set(tiles, mode="drop")}

    start = lambda state, shape, count: {"tiles": jnp.zeros((count, *shape))}
    computed = Pass(("none",), start, add, lambda state, sums: state)
    inner = toy()._replace(stages=(Stage(computed=computed),))
    (stage,) = tiling.tiled(inner, 32).stages
    pictures = jax.random.uniform(jax.random.key(0), (3, 48, 48, 2))
    sums = stage.computed.start(None, (48, 48, 2), 3)
    for batch, numbers in (
        (pictures[:2], [0, 1]),
        (pictures[jnp.array([2, 2])], [2, -1]),
    ):
        sums = jax.jit(stage.computed.add)(None, sums, batch, jnp.array(numbers))
    expected = [
        picture[i : i + 32, j : j + 32]
        for picture in pictures
        for i in (0, 16)
        for j in (0, 16)
    ]
    np.testing.assert_array_equal(sums["tiles"], expected)
