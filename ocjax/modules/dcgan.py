"""The DCGAN networks of GANomaly (Akcay et al., 2018), sizes from the authors' code.

Images are `[B, S, S, C]` in `[-1, 1]` with `S = 32 * 2^n`. No convolution has a bias.
Weights are drawn from N(0, 0.02), BatchNorm scales from N(1, 0.02).

`train` selects the statistics that BatchNorm uses: those of the batch (which also
updates the stored ones), or the stored ones.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from ocjax._checks import InputError
from ocjax.modules.layers import Conv, ConvTranspose
from ocjax.modules.norm import BatchNorm


def _around_one(key, shape, dtype=jnp.float32):
    return 1 + nn.initializers.normal(0.02)(key, shape, dtype)


_BatchNorm = functools.partial(BatchNorm, scale_init=_around_one)


class Encoder(nn.Module):
    """Pyramid of strided convolutions down to a vector.

    It serves as encoder and, with one output, as discriminator.

    Attributes:
      outputs: length of the vector.
      features: channels of the first convolution; they double at each stage.
      axis_name: mapped axis over whose devices BatchNorm averages.
    """

    outputs: int = 100
    features: int = 64
    axis_name: str | None = None

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
        check_image_size(x.shape[-3], x.shape[-2])
        channels = self.features
        x = nn.leaky_relu(Conv(channels, kernel=4, stride=2, padding=1)(x), 0.2)
        while x.shape[-2] > 4:
            channels *= 2
            x = Conv(channels, kernel=4, stride=2, padding=1)(x)
            x = nn.leaky_relu(_BatchNorm(self.axis_name)(x, train), 0.2)
        outputs = Conv(self.outputs, kernel=4)(x)
        return outputs.reshape(len(x), -1), x.reshape(len(x), -1)


class Decoder(nn.Module):
    """Pyramid of transposed convolutions from a vector up to an image.

    Attributes:
      size: side S of the images.
      channels: C of the images.
      features: channels before the last convolution; they double at each stage down.
      axis_name: mapped axis over whose devices BatchNorm averages.
    """

    size: int
    channels: int
    features: int = 64
    axis_name: str | None = None

    @nn.compact
    def __call__(self, z: jax.Array, train: bool) -> jax.Array:
        """Maps latents `[B, D]` to images `[B, S, S, C]` in `[-1, 1]`."""
        check_image_size(self.size, self.size)
        channels = self.features * self.size // 8
        x = ConvTranspose(channels, kernel=4)(z[:, None, None, :])
        x = nn.relu(_BatchNorm(self.axis_name)(x, train))
        while x.shape[-2] < self.size // 2:
            channels //= 2
            x = ConvTranspose(channels, kernel=4, stride=2, padding=1)(x)
            x = nn.relu(_BatchNorm(self.axis_name)(x, train))
        x = ConvTranspose(self.channels, kernel=4, stride=2, padding=1)(x)
        return jnp.tanh(x)


def check_image_size(height: int, width: int) -> None:
    """Raises `ValueError` unless the sides are equal and `32 * 2^n`."""
    ratio = height // 32
    if height != width or height % 32 or ratio & (ratio - 1) or not ratio:
        raise InputError(
            f"Expected square `images` of side 32, 64, 128, ...; got {height}x{width}. "
            "Resize them, e.g. with ocjax.data.resize."
        )
