"""Convolutions as flax layers, with kernels in the matrix form of `conv`."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from ocjax.modules import conv


def scaled(width: float, *channels: int) -> list[int]:
    """Returns numbers of channels times `width`, rounded, at least 1."""
    return [max(1, round(width * number)) for number in channels]


class _Layer(nn.Module):
    """What the two kinds share.

    Attributes:
      features: channels of the output.
      kernel: side of the square kernel.
      stride: of the kernel.
      padding: zeros on each side of the larger image.
      use_bias: whether a bias is added.
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

    def _kernel(self, *shape: int) -> jax.Array:
        return self.param("kernel", self.kernel_init, shape)

    def _with_bias(self, y: jax.Array) -> jax.Array:
        if not self.use_bias:
            return y
        bias = self.param("bias", nn.initializers.zeros, (y.shape[-1],))
        return y + jnp.broadcast_to(bias, y.shape)


class Conv(_Layer):
    """Convolution; its kernel is `[features, k * k * C]`."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps images `[B, H, W, C]` to `[B, H', W', features]`."""
        kernel = self._kernel(self.features, self.kernel**2 * x.shape[-1])
        return self._with_bias(conv.conv(x, kernel, self._geometry()))


class ConvTranspose(_Layer):
    """Transposed convolution; its kernel is `[C, k * k * features]`."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps images `[B, H', W', C]` to `[B, H, W, features]`."""
        kernel = self._kernel(x.shape[-1], self.kernel**2 * self.features)
        return self._with_bias(conv.conv_transpose(x, kernel, self._geometry()))
