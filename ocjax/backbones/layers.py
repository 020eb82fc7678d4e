"""The convolution that frozen networks are made of, normalization folded into it.

Nothing here is trained, so each kind has the form that is fastest forward: 1x1 as
matrix products everywhere; one filter a channel ("depthwise") as shifted multiples on
CPUs, where XLA's grouped convolution takes more than four times as long for a whole
EfficientNet-Lite0 (benchmarks/backbones.py). Products are of float32 on every platform,
none rounded to fewer bits, so that scores agree.
"""

import functools
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

Pads = list[tuple[int, int]]  # Zeros before and after, for height and width.


class Convolution(nn.Module):
    """Convolves images `[B, H, W, C]` and adds a bias; kernel `[k, k, C or 1, O]`.

    Attributes:
      channels: channels O of the result.
      side: side k of the kernel, in pixels.
      stride: step of the kernel in both directions, in pixels.
      padding: zeros as "tensorflow" adds them for `SAME`, by the picture's size, or
        `(k - 1) / 2` on every side, as networks of "pytorch" do.
      depthwise: use one filter a channel, O = C.
    """

    channels: int
    side: int = 1
    stride: int = 1
    padding: Literal["tensorflow", "pytorch"] = "tensorflow"
    depthwise: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps images to images `[B, H', W', O]`, `H' = ceil(H / stride)`."""
        inputs = 1 if self.depthwise else x.shape[-1]
        shape = (self.side, self.side, inputs, self.channels)
        kernel = self.param("kernel", nn.initializers.zeros, shape)
        bias = self.param("bias", nn.initializers.zeros, shape[-1:])
        pads = [self._pads(size) for size in x.shape[1:3]]
        if self.depthwise:
            y = depthwise(x, kernel, self.stride, pads)
        elif self.side == 1:
            x = x[:, :: self.stride, :: self.stride]
            y = jnp.matmul(x, kernel[0, 0], precision=lax.Precision.HIGHEST)
        else:
            y = _on_lax(x, kernel, stride=self.stride, pads=pads)
        return y + along_channels(bias, y)

    def _pads(self, size: int) -> tuple[int, int]:
        if self.padding == "pytorch":
            return (self.side - 1) // 2, (self.side - 1) // 2
        last = (-(-size // self.stride) - 1) * self.stride
        zeros = max(last + self.side - size, 0)
        return zeros // 2, zeros - zeros // 2


class Linear(nn.Module):
    """Matrix product and bias of vectors `[B, C]`; kernel `[C, O]`.

    Attributes:
      channels: length O of the result.
    """

    channels: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps vectors to vectors `[B, O]`."""
        shape = (x.shape[-1], self.channels)
        kernel = self.param("kernel", nn.initializers.zeros, shape)
        bias = self.param("bias", nn.initializers.zeros, shape[-1:])
        return jnp.matmul(x, kernel, precision=lax.Precision.HIGHEST) + bias[None]


def depthwise(x: jax.Array, kernel: jax.Array, stride: int, pads: Pads) -> jax.Array:
    """Convolves every channel with its own filter, in the platform's faster form.

    Args:
      x: images, shape `[B, H, W, C]`.
      kernel: filters, shape `[k, k, 1, C]`.
      stride: step of the kernel in both directions, in pixels.
      pads: zeros around the images.
    """
    forms = {name: functools.partial(f, stride, pads) for name, f in PLATFORMS.items()}
    return lax.platform_dependent(x, kernel, **forms)


def shifted(stride: int, pads: Pads, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Computes `depthwise` as a sum of `k * k` shifted images times weights."""
    side = len(kernel)
    views = windows(x, side, stride, pads, jnp.zeros((), x.dtype))
    weights = [along_channels(weight, x) for weight in kernel.reshape(side**2, -1)]
    products = [view * w for view, w in zip(views, weights, strict=True)]
    return functools.reduce(jnp.add, products)


def grouped(stride: int, pads: Pads, x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Computes `depthwise` as a convolution with one group a channel."""
    return _on_lax(x, kernel, stride=stride, pads=pads, groups=x.shape[-1])


# Fastest form of `depthwise` on each platform.
PLATFORMS = {"cpu": shifted, "default": grouped}


def windows(
    x: jax.Array, side: int, stride: int, pads: Pads, value: jax.Array
) -> list[jax.Array]:
    """Gathers the pixels at each of a sliding window's `side * side` places, by row.

    Args:
      x: images, shape `[B, H, W, C]`.
      side: side of the window, in pixels.
      stride: step of the window, in pixels.
      pads: numbers of values added around the images.
      value: value that is added.

    Returns:
      Images of shape `[B, H', W', C]`, `H' = (H + pads - side) // stride + 1`.
    """
    x = lax.pad(x, value, [(0, 0, 0), *((*ends, 0) for ends in pads), (0, 0, 0)])
    spans = [(size - side) // stride * stride + 1 for size in x.shape[1:3]]
    return [
        x[:, i : i + spans[0] : stride, j : j + spans[1] : stride]
        for i in range(side)
        for j in range(side)
    ]


def _on_lax(x, kernel, *, stride, pads, groups=1):
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        pads,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
        precision=lax.Precision.HIGHEST,
    )


def along_channels(vector: jax.Array | Sequence[float], images: jax.Array) -> jax.Array:
    """Gives a vector `[C]` the rank and dtype of images `[..., C]`."""
    return jnp.asarray(vector, images.dtype).reshape((1,) * (images.ndim - 1) + (-1,))


def coloured(images: jax.typing.ArrayLike) -> jax.Array:
    """Gives images three channels, all equal for grey ones, as float32 or wider.

    Raises:
      ValueError: `images` are no floats of shape `[B, H, W, 1]` or `[B, H, W, 3]`.
    """
    shape, dtype = jnp.shape(images), jnp.result_type(images)
    if len(shape) != 4 or shape[-1] not in (1, 3) or 0 in shape[1:3]:
        raise ValueError(f"Expected images [B, H, W, 1 or 3], got shape {shape}.")
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(f"Expected float images in [-1, 1], got {dtype}.")
    images = jnp.asarray(images, jnp.promote_types(dtype, jnp.float32))
    return jnp.broadcast_to(images, (*shape[:3], 3))


def select(
    features: Iterable[tuple[str, jax.Array]], names: Collection[str] | None
) -> dict[str, jax.Array]:
    """Selects features by name, or all; computes nothing behind the last of them."""
    if names is None:
        return dict(features)
    selected = {}
    for name, feature in features:
        if name in names:
            selected[name] = feature
        if len(selected) == len(set(names)):
            break
    return selected
