"""Batch normalization, averaged over devices where a batch is spread over them."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from ocjax.modules import axis, precision


class BatchNorm(nn.Module):
    """Normalizes each channel by its mean and variance over batch and places.

    The defaults are PyTorch's (momentum 0.1 there is 0.9 here; epsilon 1e-5), but the
    stored variance is the biased one. Unlike flax's, it is the same program with and
    without differentiation, so that the compiler merges a forward pass that one loss
    differentiates and another only reads.

    Attributes:
      scale_init: initializer of the scale; DCGAN draws from N(1, 0.02).
      momentum: share of the stored statistics that a batch leaves.
      epsilon: constant added to the variance.
    """

    scale_init: Callable = nn.initializers.ones
    momentum: float = 0.9
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Normalizes `[B, ..., C]`.

        Args:
          x: activations.
          train: use the statistics of this batch and update the stored ones; else
            use the stored ones.

        Returns:
          Activations of the same shape and dtype, computed in float32.
        """
        dtype, x = x.dtype, precision.widen(x)
        channels = (x.shape[-1],)
        scale = self.param("scale", self.scale_init, channels)
        bias = self.param("bias", nn.initializers.zeros, channels)
        mean = self.variable("batch_stats", "mean", jnp.zeros, channels)
        variance = self.variable("batch_stats", "var", jnp.ones, channels)
        wide = lambda v: jnp.broadcast_to(v, x.shape)
        if train:
            batch_mean = _average(x)
            x = x - wide(batch_mean)
            batch_variance = _average(jnp.square(x))
            if not self.is_initializing():
                mean.value = self._follow(mean.value, batch_mean)
                variance.value = self._follow(variance.value, batch_variance)
        else:
            x = x - wide(mean.value)
            batch_variance = variance.value
        scale = scale * jax.lax.rsqrt(batch_variance + self.epsilon)
        return (x * wide(scale) + wide(bias)).astype(dtype)

    def _follow(self, stored: jax.Array, batch: jax.Array) -> jax.Array:
        return self.momentum * stored + (1 - self.momentum) * batch


def _average(x: jax.Array) -> jax.Array:
    """Means of channels over batch and places, those of other devices included."""
    return axis.mean(x.mean(axis=tuple(range(x.ndim - 1))))
