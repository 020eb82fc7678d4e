from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ocjax.modules import axis
from ocjax.modules.norm import BatchNorm

X = jax.random.normal(jax.random.key(0), (4, 3, 3, 2)) * 3 + 5


def test_by_hand():
    # Values 1 and 3: mean 2, variance 1; (1 - 2) / sqrt(1 + 1e-5) = -0.999995
    x = jnp.array([[1.0], [3.0]])
    result: Any = BatchNorm().apply(
        BatchNorm().init(jax.random.key(0), x, True), x, True, mutable=["batch_stats"]
    )
    y, updated = result
    np.testing.assert_allclose(y, [[-0.999995], [0.999995]], rtol=1e-6)
    # 0.9 * 0 + 0.1 * 2 = 0.2;  0.9 * 1 + 0.1 * 1 = 1
    np.testing.assert_allclose(updated["batch_stats"]["mean"], [0.2], rtol=1e-6)
    np.testing.assert_allclose(updated["batch_stats"]["var"], [1.0], rtol=1e-6)


def test_agrees_with_flax_in_training_and_inference():
    ours, variables = BatchNorm(), BatchNorm().init(jax.random.key(1), X, True)
    theirs = nn.BatchNorm(momentum=0.9, epsilon=1e-5)
    for train in (True, False):
        y, new = ours.apply(variables, X, train, mutable=["batch_stats"])
        y_flax, new_flax = theirs.apply(
            variables, X, use_running_average=not train, mutable=["batch_stats"]
        )
        np.testing.assert_allclose(y, y_flax, rtol=1e-4, atol=1e-5)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), new, new_flax
        )


def test_inference_leaves_the_statistics_alone_and_ignores_the_batch():
    variables = BatchNorm().init(jax.random.key(1), X, True)
    together = BatchNorm().apply(variables, X, False)
    alone = BatchNorm().apply(variables, X[:1], False)
    np.testing.assert_array_equal(together[:1], alone)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_variance_survives_a_large_mean(offset):
    variables = BatchNorm().init(jax.random.key(1), X, True)
    y, _ = BatchNorm().apply(variables, X + offset, True, mutable=["batch_stats"])
    np.testing.assert_allclose(y.std((0, 1, 2)), 1, rtol=1e-2)


def test_averages_over_the_devices_of_an_axis():
    variables = BatchNorm().init(jax.random.key(1), X, True)
    whole = BatchNorm().apply(variables, X, True, mutable=["batch_stats"])

    def part(x):
        return BatchNorm().apply(variables, x, True, mutable=["batch_stats"])

    parts = jax.vmap(part, axis_name=axis.NAME)(X.reshape(2, 2, 3, 3, 2))
    np.testing.assert_allclose(
        parts[0].reshape(X.shape), whole[0], rtol=1e-4, atol=1e-5
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[0], b, rtol=1e-4), parts[1], whole[1]
    )


def test_momentum_and_epsilon_can_be_those_of_keras():
    x = jnp.array([[1.0], [3.0]])
    module = BatchNorm(momentum=0.99, epsilon=1e-3)
    result: Any = module.apply(
        module.init(jax.random.key(0), x, True), x, True, mutable=["batch_stats"]
    )
    y, updated = result
    # (1 - 2) / sqrt(1 + 1e-3) = -0.9995004;  0.99 * 0 + 0.01 * 2 = 0.02
    np.testing.assert_allclose(y, [[-0.9995004], [0.9995004]], rtol=1e-6)
    np.testing.assert_allclose(updated["batch_stats"]["mean"], [0.02], rtol=1e-5)


@pytest.mark.parametrize("train", [True, False])
def test_statistics_of_bfloat16_are_those_of_the_same_numbers_in_float32(train):
    x = X.astype(jnp.bfloat16)
    variables = BatchNorm().init(jax.random.key(1), x, True)
    results: Any = [
        BatchNorm().apply(variables, x, train, mutable=["batch_stats"])
        for x in (x, x.astype(jnp.float32))
    ]
    (half, found), (single, expected) = results
    assert half.dtype == jnp.bfloat16
    np.testing.assert_array_equal(half, single.astype(jnp.bfloat16))
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(found))
