"""The DCGAN networks of GANomaly (Akcay et al., 2018), sizes from the authors' code.

Other methods vary them: channel attention, a stochastic encoder, another discriminator.

Images are `[B, S, S, C]` in `[-1, 1]` with `S = 32 * 2^n`. No convolution has a bias.
Weights are drawn from N(0, 0.02), BatchNorm scales from N(1, 0.02).

`train` selects the statistics that BatchNorm uses: those of the batch (which also
updates the stored ones), or the stored ones.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ocjax._checks import InputError
from ocjax.modules import norm, precision
from ocjax.modules.attention import ChannelAttention
from ocjax.modules.layers import Conv, ConvTranspose, Dense


def _around_one(key, shape, dtype=jnp.float32):
    return 1 + nn.initializers.normal(0.02)(key, shape, dtype)


BatchNorm = functools.partial(norm.BatchNorm, scale_init=_around_one)


def _pyramid(
    x: jax.Array, features: int, attention: int, train: bool, norm_first: bool = False
) -> list[jax.Array]:
    """Applies strided convolutions down to 4x4, as layers of the calling module.

    Returns:
      Activations of each stage i, shape `[B, S / 2^(i+1), S / 2^(i+1),
      features * 2^i]`.
    """
    check_image_size(x.shape[-3], x.shape[-2])
    x = Conv(features, kernel=4, stride=2, padding=1)(x)
    x = nn.leaky_relu(BatchNorm()(x, train) if norm_first else x, 0.2)
    stages = [_attend(x, attention)]
    while stages[-1].shape[-2] > 4:
        features *= 2
        x = Conv(features, kernel=4, stride=2, padding=1)(stages[-1])
        x = nn.leaky_relu(BatchNorm()(x, train), 0.2)
        stages.append(_attend(x, attention))
    return stages


def _attend(x: jax.Array, reduction: int) -> jax.Array:
    return ChannelAttention(reduction)(x) if reduction else x


class Encoder(nn.Module):
    """Pyramid of strided convolutions down to a vector.

    It serves as encoder and, with one output, as discriminator.

    Attributes:
      outputs: length of the vector.
      features: channels of the first convolution; they double at each stage.
      attention: reduction of the channel attention after each stage; 0 for none.
      norm_first: whether the first stage has BatchNorm too. GANomaly's has none, nor
        has DCGAN's discriminator.
      dtype: type that it computes in.
    """

    outputs: int = 100
    features: int = 64
    attention: int = 0
    norm_first: bool = False
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> tuple[jax.Array, jax.Array]:
        """Encodes images.

        Args:
          x: images, shape `[B, S, S, C]`, in `[-1, 1]`.
          train: use the statistics of this batch.

        Returns:
          Linear outputs `[B, outputs]`, and the features before the last convolution,
          flattened to `[B, D]`; `D = 4 * 4 * 256` at 32x32 with 64 features.
        """
        *_, x = _pyramid(
            x.astype(self.dtype),
            self.features,
            self.attention,
            train,
            self.norm_first,
        )
        return _vector(x, self.outputs), x.reshape(len(x), -1)


class StochasticEncoder(nn.Module):
    """The encoder with two heads: mean and log variance of a normal distribution.

    Attributes:
      latent: length of the means, and of the log variances.
      features: channels of the first convolution; they double at each stage.
      dtype: type that it computes in.
    """

    latent: int = 100
    features: int = 64
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, x: jax.Array, train: bool
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Encodes images.

        Args:
          x: images, shape `[B, S, S, C]`, in `[-1, 1]`.
          train: use the statistics of this batch.

        Returns:
          Means and log variances, linear, `[B, latent]`, and a feature map, the second
          stage's activations `[B, S / 4, S / 4, 2 * features]`.
        """
        stages = _pyramid(x.astype(self.dtype), self.features, 0, train)
        mean = _vector(stages[-1], self.latent, "mean")
        return mean, _vector(stages[-1], self.latent, "log_variance"), stages[1]


class Discriminator(nn.Module):
    """The discriminator of Skip-GANomaly (Akcay et al., 2019): features, then a logit.

    The authors' code (samet-akcay/skip-ganomaly) ends in a padded 3x3 convolution of a
    1x1 map, of which only the centre meets anything but zeros: a linear map, as here.

    Attributes:
      hidden: length of the features.
      features: channels of the first convolution; they double at each stage.
      dtype: type that it computes in.
    """

    hidden: int = 100
    features: int = 64
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> tuple[jax.Array, jax.Array]:
        """Judges images.

        Args:
          x: images, shape `[B, S, S, C]`, in `[-1, 1]`.
          train: use the statistics of this batch.

        Returns:
          Logits `[B]`, positive for real images, and linear features `[B, hidden]`.
        """
        *_, x = _pyramid(x.astype(self.dtype), self.features, 0, train)
        features = _vector(x, self.hidden)
        kernel_init = nn.initializers.normal(0.02)
        logits = Dense(1, use_bias=False, kernel_init=kernel_init)(features)
        return logits[:, 0], features


def _vector(x: jax.Array, length: int, name: str | None = None) -> jax.Array:
    """Convolves `[B, 4, 4, C]` to `[B, length]`."""
    return Conv(length, kernel=4, name=name)(x).reshape(len(x), length)


class Decoder(nn.Module):
    """Pyramid of transposed convolutions from a vector up to an image.

    Attributes:
      size: side S of the images.
      channels: channels C of the images.
      features: channels before the last convolution; they double at each stage down.
      attention: reduction of the channel attention after each stage but the last; 0
        for none.
      dtype: type that it computes in.
    """

    size: int
    channels: int
    features: int = 64
    attention: int = 0
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, z: jax.Array, train: bool) -> jax.Array:
        """Maps latents `[B, D]` to images `[B, S, S, C]` in `[-1, 1]`."""
        check_image_size(self.size, self.size)
        channels = self.features * self.size // 8
        z = z.astype(self.dtype)
        x = ConvTranspose(channels, kernel=4)(z[:, None, None, :])
        x = nn.relu(BatchNorm()(x, train))
        x = _attend(x, self.attention)
        while x.shape[-2] < self.size // 2:
            channels //= 2
            x = ConvTranspose(channels, kernel=4, stride=2, padding=1)(x)
            x = nn.relu(BatchNorm()(x, train))
            x = _attend(x, self.attention)
        x = ConvTranspose(self.channels, kernel=4, stride=2, padding=1)(x)
        return jnp.tanh(precision.widen(x))


def check_image_size(height: int, width: int) -> None:
    """Raises `ValueError` unless the sides are equal and `32 * 2^n`."""
    ratio = height // 32
    if height != width or height % 32 or ratio & (ratio - 1) or not ratio:
        raise InputError(
            f"Expected square `images` of side 32, 64, 128, ...; got {height}x{width}. "
            "Resize them, e.g. with ocjax.data.resize."
        )
