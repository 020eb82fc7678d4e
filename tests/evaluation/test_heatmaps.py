"""Where scores come from."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_methods
from scipy import ndimage

from ocjax.evaluation import heatmaps
from ocjax.methods import Method

IMAGES = jax.random.uniform(jax.random.key(0), (2, 32, 32, 1), minval=-1, maxval=1)


def test_smoothing_is_a_gaussian_that_keeps_constants():
    maps = np.zeros((1, 64, 64), np.float32)
    maps[0, 32, 32] = 1
    expected = ndimage.gaussian_filter(maps[0].astype(np.float64), 2.0, truncate=8)
    np.testing.assert_allclose(
        heatmaps.smooth(jnp.asarray(maps))[0], expected, atol=1e-6
    )
    np.testing.assert_allclose(heatmaps.smooth(jnp.ones((1, 8, 8))), 1, rtol=1e-6)


def toy(score, reconstruct=None):
    return Method(None, (), score, {}, reconstruct)  # pyright: ignore[reportArgumentType]


def test_a_reconstruction_s_heatmap_is_its_residual():
    half = toy(lambda s, x: jnp.square(x).mean((1, 2, 3)), lambda s, x: x / 2)
    scores, maps = heatmaps.explained(half)(None, IMAGES)
    np.testing.assert_allclose(scores, jnp.square(IMAGES).mean((1, 2, 3)), rtol=1e-6)
    expected = heatmaps.smooth(jnp.abs(IMAGES[..., 0]) / 2)
    np.testing.assert_allclose(maps, expected, rtol=1e-5)


def test_another_method_s_heatmap_is_the_gradient_of_its_score():
    weights = jax.random.normal(jax.random.key(1), (32, 32, 1))
    linear = toy(lambda s, x: (x * weights[None]).sum((1, 2, 3)))
    _, maps = heatmaps.explained(linear)(None, IMAGES)
    expected = heatmaps.smooth(jnp.abs(weights[None, ..., 0]))
    np.testing.assert_allclose(maps, jnp.repeat(expected, 2, 0), rtol=1e-5)


def _state(method):
    state = jax.jit(method.init)(jax.random.key(0), IMAGES)
    return tiny_methods.after_passes(method, state, IMAGES.shape[1:])


def test_scores_that_are_steps_have_flat_heatmaps():
    builder, config = tiny_methods.MAIN["iforest"]
    method = builder(config)
    _, maps = jax.jit(heatmaps.explained(method))(_state(method), IMAGES)
    np.testing.assert_array_equal(maps, np.zeros((2, 32, 32)))


@pytest.mark.parametrize("name", sorted(set(tiny_methods.MAIN) - {"iforest"}))
def test_every_method_explains_each_image_alone(name):
    builder, config = tiny_methods.MAIN[name]
    method = builder(config)
    state = _state(method)
    explain = heatmaps.explained(method)
    assert explain is heatmaps.explained(method)  # Else it would compile again.
    scores, maps = jax.jit(explain)(state, IMAGES)
    assert maps.shape == (2, 32, 32) and (maps >= 0).all() and maps.max() > 0
    np.testing.assert_allclose(scores, method.score(state, IMAGES), rtol=1e-4)
    _, other = jax.jit(explain)(state, IMAGES.at[1].set(0.0))
    np.testing.assert_allclose(other[0], maps[0], rtol=1e-4, atol=1e-7)
    assert not np.allclose(other[1], maps[1])
