"""A plain autoencoder, the baseline that every other method has to beat.

It learns to reconstruct normal images, with `noise` from noisy ones (a denoising
autoencoder, Vincent et al., 2008), with `masked` from ones of which blocks are hidden
(context encoders, Pathak et al., 2016; masked autoencoders, He et al., 2022); what it
reconstructs is the clean image. An image is anomalous when it is reconstructed badly,
by squared or absolute error, by squared error over its own variance, or by structural
similarity (the "SSIM" row of Schlachter et al., 2019). Scores see the clean image.

Networks are GANomaly's encoder and decoder, so that methods differ in their losses;
narrower, and with a latent that is too short to reconstruct what normal images never
show. GANomaly's sizes are `latent=100, features=64`.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from ocjax import _checks
from ocjax.losses import reconstruction
from ocjax.methods import base
from ocjax.modules import apply, dcgan, noise

LOSSES = {"squared_error": reconstruction.squared_error, "l1": reconstruction.l1}


def _dissimilarity(x: jax.Array, x_hat: jax.Array) -> jax.Array:
    return 1 - reconstruction.ssim((x + 1) / 2, (x_hat + 1) / 2)


SCORES = {
    **LOSSES,
    "squared_over_variance": reconstruction.squared_over_variance,
    "ssim": _dissimilarity,
}


@dataclasses.dataclass(frozen=True)
class Config:
    """Hyper-parameters; all are choices."""

    latent: int = 16  # Length of the latent, as OCGAN and GPND have on MNIST.
    features: int = 16  # Channels of the first convolution.
    # Standard deviation of noise on the input, whose pixels are in [-1, 1].
    noise: float = 0.0
    # Part of the 4x4 blocks of the input that are hidden behind mid-grey in training.
    masked: float = 0.0
    loss: str = "squared_error"  # Error that trains: "squared_error" or "l1".
    # Error that scores: "squared_error", "l1", "squared_over_variance" (of the image's
    # pixels), or "ssim": 1 - similarity.
    score: str = "squared_error"
    learning_rate: float = 1e-3  # Learning rate of Adam.
    b1: float = 0.9  # Decay of Adam's first moment.
    b2: float = 0.999  # Decay of Adam's second moment.


def autoencoder(
    config: Config = Config(),
    dtype: DTypeLike = jnp.float32,
) -> base.Method:
    """Builds an autoencoder for images `[B, S, S, C]` in `[-1, 1]`, `S = 32 * 2^n`.

    Args:
      config: hyper-parameters.
      dtype: type that networks compute in; what they learn and return is float32.

    Returns:
      The method; its networks are `encoder` and `decoder`.

    Raises:
      InputError: an option of `config` is unknown or out of range.
    """
    error = LOSSES[_checks.one_of("hyper.loss", config.loss, LOSSES)]
    dissimilarity = SCORES[_checks.one_of("hyper.score", config.score, SCORES)]
    if not 0 <= config.masked < 1:
        raise _checks.InputError(
            f"`hyper.masked` (={config.masked}) must be at least 0 and below 1."
        )
    shared: dict[str, Any] = {"features": config.features, "dtype": dtype}
    encoder = dcgan.Encoder(config.latent, **shared)

    def decoder(shape):
        return dcgan.Decoder(shape[-2], shape[-1], **shared)

    def loss(params, stats, x, key):
        noise_key, mask_key = jax.random.split(key)
        seen = x
        if config.noise:
            seen = x + config.noise * noise.normal(noise_key, x.shape)
        if config.masked:
            # Grey, which is no data set's background: what is hidden is seen to be.
            seen = jnp.where(noise.blocks(mask_key, x.shape, config.masked), 0.0, seen)
        (z, _), encoded = apply.train(encoder, "encoder", params, stats, seen)
        x_hat, decoded = apply.train(decoder(x.shape), "decoder", params, stats, z)
        return error(x, x_hat).mean(), base.Aux({**encoded, **decoded}, {})

    adam = optax.adam(config.learning_rate, b1=config.b1, b2=config.b2)
    objectives = {"reconstruction": base.Objective(loss, ("encoder", "decoder"), adam)}

    def init(key, images):
        z = jnp.zeros((len(images), config.latent))
        modules = {
            "encoder": (encoder, images),
            "decoder": (decoder(images.shape), z),
        }
        return base.init_state(key, modules, objectives)

    def step(state, images, key):
        return base.simultaneous(objectives, state, images, key)

    embed, decode, reconstruct = base.autoencoding(encoder, decoder)

    def score(state, x):
        return dissimilarity(x, reconstruct(state, x))

    return base.Method(
        init=init,
        stages=(base.Stage(step),),
        score=score,
        objectives=objectives,
        reconstruct=reconstruct,
        embed=embed,
        views=base.Views(decode=decode),
    )
