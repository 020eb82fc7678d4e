"""Networks T that tell pairs that belong together from pairs that do not.

A pair is a feature map `[B, H, W, C]` and a latent `[B, D]`, of one image or of two.
LR-GDAN (Chen et al., 2020) estimates their mutual information with T, but prints no
sizes; these are those of a public implementation of Deep InfoMax
(DuaneNielsen/DeepInfomaxPytorch).

Kernels are drawn with variance 1 / inputs, flax's default for dense layers; biases
start at 0. Nothing here depends on `train`, accepted because every network is given it.

References:
  Hjelm et al., [Deep InfoMax](https://arxiv.org/abs/1808.06670), 2018, appendix;
  Chen et al., "Latent regularized generative dual adversarial network for abnormal
  detection", 2020, Eqs 7-8.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ocjax.modules import layers, precision

_Conv = functools.partial(
    layers.Conv,
    use_bias=True,
    kernel_init=nn.initializers.lecun_normal(in_axis=1, out_axis=0),
)


class _DenseOfBoth(nn.Module):
    """A dense layer on x and z concatenated, as the sum of one on each.

    The sum is cheaper where one z meets many places of x, and calls with one x and
    several z share the product with x.
    """

    units: int

    @nn.compact
    def __call__(self, x: jax.Array, z: jax.Array) -> jax.Array:
        """Maps `[B, ..., C]` and `[B, D]` to `[B, ..., units]`."""
        shape = x.shape[-1] + z.shape[-1], self.units
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.units,))
        of_x, of_z = jnp.split(kernel.astype(x.dtype), [x.shape[-1]])
        everywhere = precision.widen(z @ of_z) + bias[None]
        places = (1,) * (x.ndim - 2)
        y = precision.widen(x @ of_x) + everywhere.reshape(len(z), *places, self.units)
        return y.astype(x.dtype)


class GlobalEstimator(nn.Module):
    """T of a whole map and a latent.

    Attributes:
      features: channels of the first convolution; the second has half.
      units: outputs of each of the two hidden dense layers.
      dtype: type that it computes in.
    """

    features: int = 64
    units: int = 512
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, feature_map: jax.Array, z: jax.Array, train: bool = False
    ) -> jax.Array:
        """Scores pairs.

        Args:
          feature_map: features of images, shape `[B, H, W, C]`, sides of 5 or more.
          z: latents, shape `[B, D]`.
          train: argument of every network, ignored.

        Returns:
          Scores of shape `[B]`, unbounded.
        """
        del train
        x, z = feature_map.astype(self.dtype), z.astype(self.dtype)
        x = nn.relu(_Conv(self.features, kernel=3)(x))
        x = _Conv(self.features // 2, kernel=3)(x).reshape(len(x), -1)
        x = nn.relu(_DenseOfBoth(self.units, name="both")(x, z))
        x = nn.relu(layers.Dense(self.units)(x))
        return layers.Dense(1)(x)[:, 0]


class LocalEstimator(nn.Module):
    """T of each place of a map and a latent: the same three dense layers everywhere.

    Attributes:
      units: outputs of each of the two hidden layers.
      dtype: type that it computes in.
    """

    units: int = 512
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, feature_map: jax.Array, z: jax.Array, train: bool = False
    ) -> jax.Array:
        """Scores pairs of a place and a latent.

        Args:
          feature_map: features of images, shape `[B, H, W, C]`.
          z: latents, shape `[B, D]`.
          train: argument of every network, ignored.

        Returns:
          Scores of shape `[B, H, W]`, unbounded.
        """
        del train
        x, z = feature_map.astype(self.dtype), z.astype(self.dtype)
        x = nn.relu(_DenseOfBoth(self.units, name="both")(x, z))
        x = nn.relu(layers.Dense(self.units)(x))
        return layers.Dense(1)(x)[..., 0]
