import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

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


def test_a_masked_autoencoder_sees_less_and_aims_at_the_whole_image():
    method = autoencoder(TINY())
    state = jax.jit(method.init)(jax.random.key(1), IMAGES)

    @functools.partial(jax.jit, static_argnums=0)
    def gradients(masked, seed):
        """Of the networks that are trained, and of the images."""
        objective = autoencoder(TINY(masked=masked)).objectives["reconstruction"]
        loss = lambda params, x: objective.loss(
            params, state.stats, x, jax.random.key(seed)
        )
        return jax.grad(loss, (0, 1), has_aux=True)(state.params, IMAGES)[0]

    kernel = lambda found: found[0]["encoder"]["Conv_0"]["kernel"]
    assert (kernel(gradients(0.5, 1)) != kernel(gradients(0.5, 2))).any()
    np.testing.assert_array_equal(kernel(gradients(0.0, 1)), kernel(gradients(0.0, 2)))
    # With all blocks hidden images are an aim alone, of one reconstruction for all:
    # their gradient is 2 (x - x_hat) / N.
    _, of_images = gradients(1 - 1e-7, 1)
    x_hat = IMAGES - of_images * IMAGES.size / 2
    np.testing.assert_allclose(x_hat, x_hat[:1].repeat(8, axis=0), atol=1e-5)


@pytest.mark.parametrize("masked", [-0.1, 1.0])
def test_a_part_of_the_blocks_that_is_none_or_all_is_refused(masked):
    with pytest.raises(ValueError, match=f"`hyper.masked` .={masked}. must be"):
        autoencoder(TINY(masked=masked))


def test_scores_are_the_errors_that_are_asked_for():
    names = ("l1", "ssim", "squared_over_variance")
    methods = {name: autoencoder(TINY(score=name)) for name in names}
    state = jax.jit(methods["l1"].init)(jax.random.key(1), IMAGES)
    x_hat = methods["l1"].reconstruct(state, IMAGES)
    error = jnp.abs(IMAGES - x_hat).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(methods["l1"].score(state, IMAGES), error, rtol=1e-5)
    similarity = reconstruction.ssim((IMAGES + 1) / 2, (x_hat + 1) / 2)
    np.testing.assert_allclose(
        methods["ssim"].score(state, IMAGES), 1 - similarity, rtol=1e-5
    )
    square = jnp.square(IMAGES - x_hat).mean(axis=(1, 2, 3))
    share = square / (IMAGES.var(axis=(1, 2, 3)) + 1e-3)
    np.testing.assert_allclose(
        methods["squared_over_variance"].score(state, IMAGES), share, rtol=1e-5
    )
