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
        return noise.normal(jax.random.key(1), x.shape), _dropped(x)

    @jax.jit
    def run(x):
        together = jax.vmap(draw, axis_name=axis.NAME)
        return together(x.reshape(parts, -1, *x.shape[1:])), draw(x)

    together, whole = run(X)
    for a, b in zip(together, whole, strict=True):
        np.testing.assert_array_equal(a.reshape(X.shape), b)


def test_normal_noise_is_standard_and_differs_between_examples():
    draws = noise.normal(jax.random.key(0), (50, 200))
    assert len(np.unique(draws)) > 9_900  # Of 10,000: some float32 collide.
    assert draws.mean() == pytest.approx(0, abs=0.04)  # Four standard errors.
    assert draws.std() == pytest.approx(1, abs=0.03)


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
