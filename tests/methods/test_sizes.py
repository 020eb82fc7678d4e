"""Larger images, by shapes alone: nothing is computed."""

import jax
import jax.numpy as jnp
import pytest
import tiny_methods


@pytest.mark.parametrize("name", sorted(set(tiny_methods.MAIN) - {"pca"}))
def test_every_method_takes_larger_images(name):
    builder, config = tiny_methods.MAIN[name]
    method = builder(config)
    for size in (64, 256):
        images = jnp.zeros((4, size, size, 3))
        state = jax.eval_shape(method.init, jax.random.key(0), images)
        assert jax.eval_shape(method.score, state, images).shape == (4,)
    if name not in tiny_methods.STEPPING:
        return
    after, _ = jax.eval_shape(method.stages[0].step, state, images, jax.random.key(1))
    assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, state)
