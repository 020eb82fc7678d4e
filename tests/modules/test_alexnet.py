import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ocjax.modules import apply
from ocjax.modules.alexnet import AlexNet, AlexNetAutoencoder
from ocjax.modules.noise import Dropout

IMAGES = jax.random.uniform(jax.random.key(0), (4, 32, 32, 1))


def test_parameter_count_by_hand():
    images = jnp.zeros((1, 32, 32, 3))
    init = lambda: apply.init(AlexNet(), jax.random.key(0), images)
    params, stats = jax.eval_shape(init)
    count = 9 * (3 * 32 + 32 * 96 + 96 * 192 + 192 * 128 + 128 * 128)
    count += 32 + 96 + 192 + 128 + 128
    count += (4 * 4 * 128 + 1) * 256 + (256 + 1) * 128
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count
    assert stats == {}


def test_features_are_of_one_image_and_dropped_only_in_training():
    module = AlexNet(outputs=20, width=0.1)

    @jax.jit
    def run(images):
        params, stats = apply.init(module, jax.random.key(1), images)
        networks = {"net": params}, {"net": stats}
        z = apply.infer(module, "net", *networks, images)
        alone = apply.infer(module, "net", *networks, images[1:2])
        key = jax.random.key(2)
        return z, alone, apply.train(module, "net", *networks, images, key=key)[0]

    z, alone, dropped = run(IMAGES)
    assert z.shape == (4, 20)
    assert (z >= 0).all()
    assert 0.01 < z.mean() < 10  # The signal neither fades nor grows.
    np.testing.assert_allclose(z[1:2], alone, rtol=1e-4, atol=1e-6)
    assert (dropped != z).any()


def test_only_units_of_the_hidden_dense_layer_are_dropped():
    dropped = []

    def note(call, args, kwargs, context):
        if isinstance(context.module, Dropout):
            dropped.append(args[0].shape)
        return call(*args, **kwargs)

    module = AlexNet(outputs=3, width=0.1)
    with nn.intercept_methods(note):
        jax.eval_shape(lambda x: module.init(jax.random.key(0), x, train=True), IMAGES)
    assert dropped == [(4, 26)]  # A tenth of 256 units.


@pytest.mark.parametrize("size", [32, 64])
def test_any_size_gives_a_vector(size):
    images = jnp.zeros((2, size, size, 1))
    module = AlexNet(outputs=3, width=0.02)
    run = lambda: module.init_with_output(jax.random.key(0), images, train=True)[0]
    assert jax.eval_shape(run).shape == (2, 3)


def test_parameter_count_of_the_autoencoder_by_hand():
    images = jnp.zeros((1, 32, 32, 3))
    init = lambda: apply.init(AlexNetAutoencoder(32), jax.random.key(0), images)
    params, stats = jax.eval_shape(init)
    there = 9 * (3 * 32 + 32 * 96 + 96 * 192 + 192 * 128 + 128 * 128)
    there += 32 + 96 + 192 + 128 + 128
    latent = 16 * 128 * 32 + 32 + 16 * 32 * 128 + 128
    # Kernels are 4x4 where the encoder pools: the fifth, the second and the first.
    back = 16 * (128 * 128 + 96 * 32 + 32 * 3) + 9 * (128 * 192 + 192 * 96)
    back += 128 + 192 + 96 + 32 + 3
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == there + latent + back
    assert stats == {}


@pytest.mark.parametrize("shape", [(2, 32, 32, 3), (2, 64, 64, 1)])
def test_the_autoencoder_gives_images_of_any_size_and_their_latents(shape):
    module = AlexNetAutoencoder(latent=5, width=0.02)
    run = lambda: module.init_with_output(
        jax.random.key(0), jnp.zeros(shape), train=True
    )
    (x_hat, z), _ = jax.eval_shape(run)
    assert x_hat.shape == shape and x_hat.dtype == jnp.float32
    assert z.shape == (2, 5 * (shape[1] // 32) ** 2)


def test_signals_neither_fade_nor_grow_in_the_autoencoder():
    module = AlexNetAutoencoder(latent=20, width=0.1)

    @jax.jit
    def run(images):
        params, stats = apply.init(module, jax.random.key(1), images)
        return apply.infer(module, "net", {"net": params}, {"net": stats}, images)

    x_hat, z = run(IMAGES)
    assert (x_hat > 0).all() and (x_hat < 1).all()
    assert 0.01 < jnp.abs(z).mean() < 10
    assert 0.05 < jnp.abs(jax.scipy.special.logit(x_hat)).mean() < 5
