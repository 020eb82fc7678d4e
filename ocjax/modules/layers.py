"""Layers with parameters: convolutions, their kernels in the form of `conv`, and dense.

A layer computes in the dtype of its input, its parameters being float32.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from ocjax.modules import conv


def scaled(width: float, *channels: int) -> list[int]:
    """Returns numbers of channels times `width`, rounded, at least 1."""
    return [max(1, round(width * number)) for number in channels]


class _Convolution(nn.Module):
    """Attributes that both kinds of convolution share.

    Attributes:
      features: channels of the output.
      kernel: side of the square kernel.
      stride: step of the kernel, in pixels of the larger image.
      padding: zeros on each side of the larger image.
      use_bias: add a bias.
      kernel_init: initializer of the matrix kernel; by default N(0, 0.02), DCGAN's.
    """

    features: int
    kernel: int
    stride: int = 1
    padding: int = 0
    use_bias: bool = False
    kernel_init: Callable = nn.initializers.normal(0.02)

    def _geometry(self) -> conv.Geometry:
        return conv.Geometry(self.kernel, self.stride, self.padding)


class Conv(_Convolution):
    """Convolution; its kernel is `[features, k * k * C]`."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps images `[B, H, W, C]` to `[B, H', W', features]`."""
        kernel = _kernel(self, x, self.features, self.kernel**2 * x.shape[-1])
        return _with_bias(self, conv.conv(x, kernel, self._geometry()))


class ConvTranspose(_Convolution):
    """Transposed convolution; its kernel is `[C, k * k * features]`."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps images `[B, H', W', C]` to `[B, H, W, features]`."""
        kernel = _kernel(self, x, x.shape[-1], self.kernel**2 * self.features)
        return _with_bias(self, conv.conv_transpose(x, kernel, self._geometry()))


class Dense(nn.Module):
    """Linear map of the last axis, as flax's; its kernel is `[inputs, features]`.

    Attributes:
      features: length of the output.
      use_bias: add a bias.
      kernel_init: initializer of the kernel; by default of variance 1 / inputs.
    """

    features: int
    use_bias: bool = True
    kernel_init: Callable = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[..., D]` to `[..., features]`."""
        return _with_bias(self, x @ _kernel(self, x, x.shape[-1], self.features))


def _kernel(layer, x: jax.Array, *shape: int) -> jax.Array:
    return layer.param("kernel", layer.kernel_init, shape).astype(x.dtype)


def _with_bias(layer, y: jax.Array) -> jax.Array:
    if not layer.use_bias:
        return y
    bias = layer.param("bias", nn.initializers.zeros, (y.shape[-1],))
    # The cast comes last, so that the bias's gradient is added up in float32.
    return y + jnp.broadcast_to(bias, y.shape).astype(y.dtype)
