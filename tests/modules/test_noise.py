from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ocjax.modules import axis, noise

X = 1 + jax.random.uniform(jax.random.key(0), (6, 4, 50))


def _dropped(x) -> Any:
    return noise.Dropout(0.25).apply({}, x, True, rngs={"dropout": jax.random.key(1)})


@pytest.mark.parametrize("parts", [2, 3])
def test_parts_of_a_batch_draw_what_the_whole_draws(parts):
    def draw(x):
        drawn = noise.blocks(jax.random.key(1), (len(x), 4, 8, 1), 0.5)
        return noise.normal(jax.random.key(1), x.shape), _dropped(x), drawn

    @jax.jit
    def run(x):
        together = jax.vmap(draw, axis_name=axis.NAME)
        return together(x.reshape(parts, -1, *x.shape[1:])), draw(x)

    together, whole = run(X)
    for a, b in zip(together, whole, strict=True):
        np.testing.assert_array_equal(a.reshape(b.shape), b)


def test_normal_noise_is_standard_and_differs_between_examples():
    draws = noise.normal(jax.random.key(0), (50, 200))
    assert len(np.unique(draws)) > 9_900  # Of 10,000: some float32 collide.
    assert draws.mean() == pytest.approx(0, abs=0.04)  # Four standard errors.
    assert draws.std() == pytest.approx(1, abs=0.03)


def test_blocks_are_whole_and_of_their_share():
    drawn = noise.blocks(jax.random.key(0), (50, 32, 16, 3), 0.25)
    assert drawn.shape == (50, 32, 16, 1)
    grid = drawn[:, ::4, ::4]
    np.testing.assert_array_equal(drawn, grid.repeat(4, axis=1).repeat(4, axis=2))
    # Four standard errors of 1,600 blocks.
    assert grid.mean() == pytest.approx(0.25, abs=0.043)
    assert len(np.unique(grid.reshape(50, -1), axis=0)) > 40


@pytest.mark.parametrize("part", [0.0, 1.0])
def test_none_or_all_of_the_blocks_can_be_drawn(part):
    assert (noise.blocks(jax.random.key(0), (3, 8, 8, 1), part) == part).all()


def test_dropout_zeroes_a_share_and_scales_the_rest():
    y = _dropped(X)
    dropped = y == 0
    assert dropped.mean() == pytest.approx(0.25, abs=0.05)
    np.testing.assert_allclose(y[~dropped], X[~dropped] / 0.75, rtol=1e-6)
    assert (dropped[0] != dropped[1]).any()


@pytest.mark.parametrize("rate, train", [(0.5, False), (0.0, True)])
def test_dropout_leaves_inference_and_rate_zero_alone(rate, train):
    y: Any = noise.Dropout(rate).apply({}, X, train)
    np.testing.assert_array_equal(y, X)


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_a_rate_that_is_no_probability_is_refused(rate):
    with pytest.raises(ValueError, match=f"`rate` in .*got {rate}"):
        noise.Dropout(rate).apply({}, jnp.zeros((1, 2)), False)
