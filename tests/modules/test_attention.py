from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ocjax.modules.attention import ChannelAttention

X = jax.random.normal(jax.random.key(0), (2, 4, 4, 3))


def _attend(params, x):
    result: Any = ChannelAttention(reduction=16).apply(
        {"params": params}, x, mutable=["intermediates"]
    )
    y, sown = result
    return y, sown["intermediates"]["attention"][0]


def test_by_hand():
    image = jnp.array([[0.0, 4.0], [0.0, 0.0]])[None, :, :, None]  # Mean 1, max 4.
    params = {
        "hidden": {"kernel": jnp.array([[1.0]]), "bias": jnp.array([-2.0])},
        "output": {"kernel": jnp.array([[0.5]]), "bias": jnp.array([0.25])},
    }
    # 0.5 relu(1 - 2) + 0.25 = 0.25;  0.5 relu(4 - 2) + 0.25 = 1.25;  sigmoid(1.5)
    y, weights = _attend(params, image)
    np.testing.assert_allclose(weights, [[0.8175745]], rtol=1e-6)
    np.testing.assert_allclose(y, 0.8175745 * image, rtol=1e-6)


def test_a_network_of_zeros_halves_every_channel():
    shapes = jax.eval_shape(ChannelAttention().init, jax.random.key(0), X)["params"]
    assert shapes["hidden"]["kernel"].shape == (3, 1)  # 3 // 16, but at least 1.
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), shapes)
    y, weights = _attend(zeros, X)
    np.testing.assert_array_equal(weights, jnp.full((2, 3), 0.5))
    np.testing.assert_array_equal(y, X / 2)


def test_weights_ignore_the_order_of_places():
    params = ChannelAttention().init(jax.random.key(1), X)["params"]
    _, weights = _attend(params, X)
    _, flipped = _attend(params, X[:, ::-1, ::-1])
    np.testing.assert_allclose(weights, flipped, rtol=1e-6)
    assert ((weights > 0) & (weights < 1)).all()
