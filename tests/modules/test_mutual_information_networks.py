from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ocjax.modules import apply
from ocjax.modules.mutual_information import GlobalEstimator, LocalEstimator

MAP = jax.random.normal(jax.random.key(0), (3, 8, 8, 4))
Z = jax.random.normal(jax.random.key(1), (3, 5))


def _run(module):
    """The scores of MAP and Z, and `score(params, map, z)`."""
    params, _ = jax.jit(lambda: apply.init(module, jax.random.key(2), MAP, Z))()
    score: Any = jax.jit(lambda m, z: module.apply({"params": params}, m, z))
    return score(MAP, Z), score, params


def test_parameter_counts_by_hand():
    inputs = jnp.zeros((1, 8, 8, 128)), jnp.zeros((1, 32))
    after = (512 + 1) * 512 + 512 + 1  # Two dense layers.
    # Two convolutions to 4x4x32, then 512 + 32 inputs.
    of_all = 9 * 128 * 64 + 64 + 9 * 64 * 32 + 32 + (512 + 32 + 1) * 512 + after
    of_places = (128 + 32 + 1) * 512 + after
    for module, count in ((GlobalEstimator(), of_all), (LocalEstimator(), of_places)):
        init = lambda module=module: apply.init(module, jax.random.key(0), *inputs)[0]
        shapes = jax.eval_shape(init)
        assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == count


@pytest.mark.parametrize(
    "module, shape", [(GlobalEstimator(4, 6), (3,)), (LocalEstimator(6), (3, 8, 8))]
)
def test_a_score_belongs_to_its_own_pair(module, shape):
    scores, score, _ = _run(module)
    assert scores.shape == shape
    shifted = score(MAP, Z[::-1])  # The middle pair stays.
    np.testing.assert_allclose(shifted[1], scores[1], rtol=1e-6)
    assert (shifted[0] != scores[0]).any()


def test_the_first_layer_equals_a_dense_layer_on_both_concatenated():
    scores, _, params = _run(LocalEstimator(6))
    z = jnp.broadcast_to(Z[:, None, None, :], (3, 8, 8, 5))
    x: Any = jnp.concatenate([MAP, z], axis=-1)
    for name in ("both", "Dense_0", "Dense_1"):
        x = x @ params[name]["kernel"] + params[name]["bias"][None, None, None]
        x = x if name == "Dense_1" else jax.nn.relu(x)
    np.testing.assert_allclose(scores, x[..., 0], rtol=1e-4, atol=1e-5)


def test_a_local_score_sees_its_own_place_alone():
    before, score, _ = _run(LocalEstimator(6))
    after = score(MAP.at[:, 2, 3].add(1), Z)
    changed = np.argwhere(np.asarray(before != after).any(0))
    np.testing.assert_array_equal(changed, [[2, 3]])
