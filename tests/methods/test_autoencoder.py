import functools

import jax
import jax.numpy as jnp
import numpy as np

from ocjax.losses import reconstruction
from ocjax.methods.autoencoder import Config, autoencoder

TINY = functools.partial(Config, latent=3, features=2)
IMAGES = jax.random.uniform(jax.random.key(0), (8, 32, 32, 1), minval=-1)


def test_a_denoising_autoencoder_sees_noise_and_aims_at_the_clean_image():
    method = autoencoder(TINY())
    state = jax.jit(method.init)(jax.random.key(1), IMAGES)

    @functools.partial(jax.jit, static_argnums=0)
    def losses(noise, seed):
        loss = autoencoder(TINY(noise=noise)).objectives["reconstruction"].loss
        return loss(state.params, state.stats, IMAGES, jax.random.key(seed))[0]

    assert losses(0.2, 1) != losses(0.2, 2)
    # With all noise and no image left, reconstructions are small at first, so the
    # error is that of the clean image, not of the noise.
    power = jnp.square(IMAGES).mean()
    np.testing.assert_allclose(losses(100.0, 1), power, rtol=0.1)


def test_scores_are_the_errors_that_are_asked_for():
    methods = {name: autoencoder(TINY(score=name)) for name in ("l1", "ssim")}
    state = jax.jit(methods["l1"].init)(jax.random.key(1), IMAGES)
    x_hat = methods["l1"].reconstruct(state, IMAGES)
    error = jnp.abs(IMAGES - x_hat).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(methods["l1"].score(state, IMAGES), error, rtol=1e-5)
    similarity = reconstruction.ssim((IMAGES + 1) / 2, (x_hat + 1) / 2)
    np.testing.assert_allclose(
        methods["ssim"].score(state, IMAGES), 1 - similarity, rtol=1e-5
    )
