import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ocjax.modules import apply
from ocjax.modules.noise import Dropout
from ocjax.modules.norm import BatchNorm

X = jax.random.normal(jax.random.key(0), (6, 5)) + 3


class Network(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        return Dropout(0.5)(BatchNorm()(x, train), train)


def test_the_key_decides_what_training_drops():
    params, stats = apply.init(Network(), jax.random.key(1), X)
    networks = {"net": params}, {"net": stats}
    train = jax.jit(lambda key: apply.train(Network(), "net", *networks, X, key=key)[0])
    first, again, other = (train(jax.random.key(seed)) for seed in (2, 2, 3))
    np.testing.assert_array_equal(first, again)
    assert ((first == 0) != (other == 0)).any()


def test_batchwise_normalizes_the_batch_and_inference_does_not():
    module = BatchNorm()
    params, stats = apply.init(module, jax.random.key(1), X)
    networks = {"norm": params}, {"norm": stats}
    y = apply.batchwise(module, "norm", *networks, X)
    np.testing.assert_allclose(y.mean(0), jnp.zeros(5), atol=1e-5)
    trained, new = apply.train(module, "norm", *networks, X)
    np.testing.assert_array_equal(y, trained)
    np.testing.assert_allclose(new["norm"]["mean"], 0.1 * X.mean(0), rtol=1e-5)
    # Fresh statistics are 0 and 1.
    stored = apply.infer(module, "norm", *networks, X)
    np.testing.assert_allclose(stored, X, rtol=1e-4)
