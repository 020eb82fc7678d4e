"""AlexNet (Krizhevsky et al., 2012), made small for images of 32x32."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ocjax.modules import layers, pool, precision
from ocjax.modules.dcgan import check_image_size
from ocjax.modules.noise import Dropout

_Conv = functools.partial(
    layers.Conv,
    kernel=3,
    padding=1,
    use_bias=True,
    kernel_init=nn.initializers.he_normal(in_axis=1, out_axis=0),
)
_Dense = functools.partial(layers.Dense, kernel_init=nn.initializers.he_normal())
_CHANNELS = 32, 96, 192, 128, 128  # Of the five convolutions.
_POOLED = 0, 1, 4  # Stages after which the sides are halved.


def _convolutions(x: jax.Array, width: float) -> jax.Array:
    """Applies the five convolutions down to an eighth, as layers of the calling module.

    Returns:
      Activations of shape `[B, S / 8, S / 8, 128 * width]`.
    """
    check_image_size(*x.shape[1:3])
    for stage, channels in enumerate(layers.scaled(width, *_CHANNELS)):
        x = nn.relu(_Conv(channels)(x))
        if stage in _POOLED:
            x = pool.maximum(x)
    return x


class AlexNet(nn.Module):
    """Five convolutions, three of them pooled, and two dense layers.

    Deep one-class classification by data splitting takes AlexNet up to its second-last
    layer and does not say how it is fitted to images of 28x28 and 32x32. Here there are
    half as many channels, convolutions are 3x3 with stride 1, pooling is over 2x2, the
    hidden dense layer has 256 units rather than 4096, there is no local response
    normalization, and weights are drawn with variance 2 / inputs: N(0, 0.01) is made
    for wider layers, here the signal would fade. As in AlexNet, units of both dense
    layers are dropped: those of the hidden one here, those of z by what maps z to
    outputs.

    Attributes:
      outputs: length of z.
      width: factor on the number of channels and hidden units.
      dtype: type that it computes in.

    References:
      Krizhevsky et al., "ImageNet classification with deep convolutional neural
      networks", 2012; Schlachter et al., [Deep one-class classification using data
      splitting](https://arxiv.org/abs/1902.01194), 2019, section 3.
    """

    outputs: int = 128
    width: float = 1.0
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Maps images to features.

        Args:
          x: images, shape `[B, S, S, C]`, `S = 32 * 2^n`, in any one range around 0
            or 1.
          train: drop hidden units; needs the key "dropout".

        Returns:
          Features `z >= 0` of shape `[B, outputs]`.
        """
        x = _convolutions(x.astype(self.dtype), self.width)
        (units,) = layers.scaled(self.width, 256)
        x = nn.relu(_Dense(units)(x.reshape(len(x), -1)))
        x = Dropout(0.5)(x, train)
        return nn.relu(_Dense(self.outputs)(x))


class AlexNetAutoencoder(nn.Module):
    """The convolutions of `AlexNet`, one more in place of its dense layers, and back.

    Deep one-class classification by data splitting describes its autoencoder so, and
    its decoder as symmetric, of transposed convolutions; it gives no sizes. Here the
    convolution in place of the dense layers is over 4x4 without overlap, so that an
    image of 32x32 has a latent of as many numbers as that has channels, and is linear,
    so that none of them can be lost. Where the encoder pools, the decoder's transposed
    convolution is 4x4 with stride 2; the last one ends in a sigmoid.

    Attributes:
      latent: numbers in the latent of an image of 32x32; one of 64x64 has four times as
        many.
      width: factor on the number of channels.
      dtype: type that it computes in.

    References:
      As of `AlexNet`.
    """

    latent: int = 32
    width: float = 1.0
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> tuple[jax.Array, jax.Array]:
        """Reconstructs images; nothing depends on `train`.

        Args:
          x: images, shape `[B, S, S, C]`, `S = 32 * 2^n`, in `[0, 1]`.
          train: argument of every network, ignored.

        Returns:
          Images of the same kind, and latents `[B, D]`, `D = latent * (S / 32)^2`.
        """
        del train
        image_channels = x.shape[-1]
        first, *_, last = channels = layers.scaled(self.width, *_CHANNELS)
        x = _convolutions(x.astype(self.dtype), self.width)
        z = _Conv(self.latent, kernel=4, stride=4, padding=0)(x)
        x = nn.relu(_transposed(z, last, kernel=4, stride=4))
        for stage in reversed(range(1, len(channels))):
            x = nn.relu(_mirrored(x, channels[stage - 1], stage))
        x = _mirrored(x, image_channels, 0)
        return nn.sigmoid(precision.widen(x)), z.reshape(len(z), -1)


def _mirrored(x: jax.Array, channels: int, stage: int) -> jax.Array:
    """Undoes the shape of a stage of the encoder."""
    if stage in _POOLED:
        return _transposed(x, channels, kernel=4, stride=2, padding=1)
    return _transposed(x, channels, kernel=3, padding=1)


def _transposed(x: jax.Array, channels: int, kernel: int, **options) -> jax.Array:
    """A transposed convolution with a bias, drawn with variance 2 / inputs."""
    each = (kernel // options.get("stride", 1)) ** 2  # Places that a pixel sees.
    drawn = nn.initializers.variance_scaling(
        2 / each, "fan_in", "normal", in_axis=0, out_axis=1
    )
    layer = layers.ConvTranspose(
        channels, kernel=kernel, use_bias=True, kernel_init=drawn, **options
    )
    return layer(x)
