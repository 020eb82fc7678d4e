"""The networks of one-class classification by data splitting (Schlachter et al., 2019).

Sizes are those of the authors' code (patrickschlachter/deep-occ-using-ics), written for
Keras: convolutions have no bias unless said, weights are drawn from N(0, 0.01) cut off
at two deviations, BatchNorm is Keras's (momentum 0.99, epsilon 1e-3). Images are
`[B, S, S, C]` in `[0, 1]` with `S = 32 * 2^n`.

References:
  Schlachter et al., [Deep one-class classification using data
  splitting](https://arxiv.org/abs/1902.01194), 2019, section 3.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ocjax import _checks
from ocjax.modules import layers, norm, pool, precision
from ocjax.modules.dcgan import check_image_size
from ocjax.modules.noise import Dropout

_init = nn.initializers.truncated_normal(0.01)
_BatchNorm = functools.partial(norm.BatchNorm, momentum=0.99, epsilon=1e-3)
_Conv3 = functools.partial(layers.Conv, kernel=3, padding=1, kernel_init=_init)
_Conv1 = functools.partial(layers.Conv, kernel=1, kernel_init=_init)
_Dense = functools.partial(layers.Dense, kernel_init=_init)

DISTANCES = {"signed": lambda x: x, "abs": jnp.abs, "square": jnp.square}


class SplittingAutoencoder(nn.Module):
    """Reconstructs images; the worst reconstructed are taken for atypical.

    Attributes:
      latent: numbers in the latent of an image of 32x32, a multiple of 4 (of its 2x2
        places); one of 64x64 has four times as many. The authors have 512.
      width: factor on the number of other channels.
      dtype: type that it computes in.
    """

    latent: int = 512
    width: float = 1.0
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> tuple[jax.Array, jax.Array]:
        """Reconstructs images.

        Args:
          x: images, shape `[B, S, S, C]`, in `[0, 1]`.
          train: use the statistics of this batch.

        Returns:
          Images of the same kind, and latents `[B, D]`, `D = latent * (S / 32)^2`, at
          least 0.
        """
        check_image_size(*x.shape[1:3])
        x = x.astype(self.dtype)
        image_channels = x.shape[-1]
        for channels in layers.scaled(self.width, 8, 16, 32, 64):
            x = nn.relu(_Conv3(channels)(x))
            x = jnp.concatenate([x, nn.relu(_Conv3(channels)(x))], axis=-1)
            x = _BatchNorm()(pool.maximum(x), train)
        z = nn.relu(_Conv1(self.latent // 4, use_bias=True)(x))
        x = _BatchNorm()(z, train)
        for channels in layers.scaled(self.width, 32, 32, 16, 8):
            x = nn.relu(_double(x, channels))
            x = jnp.concatenate([x, nn.relu(_Conv3(channels)(x))], axis=-1)
            x = _BatchNorm()(x, train)
        x = _Conv3(image_channels, use_bias=True)(x)
        return nn.sigmoid(precision.widen(x)), z.reshape(len(z), -1)


def _double(x: jax.Array, channels: int) -> jax.Array:
    """Doubles the size by a transposed 3x3 convolution, cropped as in Keras."""
    up = layers.ConvTranspose(channels, kernel=3, stride=2, kernel_init=_init)
    return up(x)[:, :-1, :-1]


class Backbone(nn.Module):
    """Maps images to features, the body of the authors' classifier.

    Attributes:
      outputs: length of z.
      width: factor on the number of channels and hidden units.
      dtype: type that it computes in.
    """

    outputs: int = 128
    width: float = 1.0
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Maps images to features.

        Args:
          x: images, shape `[B, S, S, C]`, in `[0, 1]`.
          train: use the statistics of this batch and drop units, for which the key
            "dropout" is needed.

        Returns:
          Features z of shape `[B, outputs]`.
        """
        check_image_size(*x.shape[1:3])
        x = x.astype(self.dtype)
        *blocks, last, units = layers.scaled(self.width, 16, 32, 64, 128, 512, 256)
        for channels in blocks:
            x = _Conv3(channels)(x)
            x = jnp.concatenate([x, _Conv3(channels)(x)], axis=-1)
            x = pool.mean(nn.leaky_relu(x, 0.2))
            x = _BatchNorm()(x, train)
        # The authors concatenate two convolutions of 256 channels: one of 512.
        x = nn.leaky_relu(_Conv1(last)(x), 0.2)
        x = _BatchNorm()(x, train).reshape(len(x), -1)
        x = nn.leaky_relu(_Dense(units)(x), 0.2)
        x = Dropout(0.5)(x, train)
        return nn.leaky_relu(_Dense(self.outputs)(x), 0.2)


class Classifier(nn.Module):
    """Tells atypical from typical images by their features."""

    @nn.compact
    def __call__(self, z: jax.Array, train: bool) -> jax.Array:
        """Maps features `[B, D]` to logits `[B]`; `train` drops units of z."""
        z = Dropout(0.5)(z, train)
        return _Dense(1)(z)[:, 0]


class Distance(nn.Module):
    """Learned distance of two feature vectors, as a logit: `w . g(z_i - z_j) + b`.

    The paper's is "signed", `g(d) = d`: not symmetric, and equal vectors are at
    sigmoid(b). Over pairs in random order the losses that pull typical images together
    and push atypical images apart are then both least where `w . d = 0`, that is, both
    pull. With "abs", `g(d) = |d|`, and "square", `g(d) = d^2`, they oppose each other.

    Kernels are drawn as Keras does by default (Glorot uniform).

    Attributes:
      kind: "signed", "abs" or "square".
    """

    kind: str = "abs"

    @nn.compact
    def __call__(
        self, z_i: jax.Array, z_j: jax.Array, train: bool = False
    ) -> jax.Array:
        """Compares features.

        Args:
          z_i: features of one image of each pair, shape `[B, D]`.
          z_j: features of the other, same shape.
          train: argument of every network, ignored.

        Returns:
          Logits of shape `[B]`; the distance is their sigmoid.

        Raises:
          ValueError: the kind is unknown, or the shapes differ.
        """
        del train
        _checks.one_of("distance", self.kind, DISTANCES)
        _checks.same_shape(z_i=z_i, z_j=z_j)
        difference = DISTANCES[self.kind](z_i - z_j)
        kernel_init = nn.initializers.glorot_uniform()
        return layers.Dense(1, kernel_init=kernel_init)(difference)[:, 0]
