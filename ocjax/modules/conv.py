"""Convolutions that are exact and fast on every platform.

XLA's CPU backend differentiates `lax.conv` slowly, inside a loop catastrophically
(jax-ml/jax issue 12868). A convolution is a matrix product with patches, and
matrix products are fast everywhere; so on CPU these functions are

    conv:            y = P(x) K^T    dx = P^T(dy K)     dK = dy^T P(x)
    transposed conv: y = P^T(x K)    dx = P(dy) K^T     dK = x^T P(dy)

where `P` gathers patches and `P^T`, its transpose, adds them back where they
overlap. Elsewhere they are `lax.conv_general_dilated`; which of the two is decided
when the program is lowered for a platform.

Kernels are matrices, the same for both: `[O, k * k * C]`, where the `O` side is the
smaller image. A convolution reads `C` channels and writes `O`; the transposed
convolution with the same kernel reads `O` and writes `C`. Patches are laid out as
`(k, k, C)`. Images are `[B, H, W, C]`; kernels are square. Both are of one dtype, which
is that of the result; products of bfloat16 are added up in float32.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax


class Geometry(NamedTuple):
    """What a convolution does to the two image axes; static."""

    kernel: int  # Side of the kernel.
    stride: int
    padding: int  # Zeros added on each side.

    def smaller(self, size: int) -> int:
        """Side of the image that a convolution writes."""
        return (size + 2 * self.padding - self.kernel) // self.stride + 1

    def larger(self, size: int) -> int:
        """Side of the image that a transposed convolution writes."""
        return (size - 1) * self.stride + self.kernel - 2 * self.padding


def patches(x: jax.Array, geometry: Geometry) -> jax.Array:
    """Gathers the patches that a convolution sees, `P` above.

    Args:
      x: images, shape `[B, H, W, C]`.
      geometry: of the convolution.

    Returns:
      Patches of shape `[B, H', W', k * k * C]`.
    """
    k, s, p = geometry
    batch, height, width, channels = x.shape
    rows, columns = geometry.smaller(height), geometry.smaller(width)
    if (rows, columns, p) == (1, 1, 0) and (height, width) == (k, k):
        return x.reshape(batch, 1, 1, -1)  # One patch: the image itself.
    # In blocks of stride x stride pixels a patch is a few whole blocks, so that
    # slices have stride 1 and `s * C` contiguous values.
    blocks = -(-k // s)
    x = _fit(x, 1, p, s * (rows - 1 + blocks))
    x = _fit(x, 2, p, s * (columns - 1 + blocks))
    x = x.reshape(batch, rows - 1 + blocks, s, columns - 1 + blocks, s * channels)
    slices = [
        x[:, i // s : i // s + rows, i % s, j : j + columns, : (k - s * j) * channels]
        for i in range(k)
        for j in range(blocks)
    ]
    return jnp.concatenate(slices, axis=-1)


def overlap_add(y: jax.Array, geometry: Geometry, height: int, width: int) -> jax.Array:
    """Adds patches up where they overlap, `P^T` above: the transpose of `patches`.

    Args:
      y: patches, shape `[B, H', W', k * k * C]`.
      geometry: of the convolution that would gather these patches.
      height: of the images returned.
      width: of the images returned.

    Returns:
      Images of shape `[B, height, width, C]`.
    """
    k, s, p = geometry
    batch, rows, columns, _ = y.shape
    if (rows, columns, p) == (1, 1, 0) and (height, width) == (k, k):
        return y.reshape(batch, k, k, -1)
    blocks = -(-k // s)
    y = y.reshape(batch, rows, columns, k, k, -1)
    whole = [(0, 0, 0)] * 3 + [(0, s * blocks - k, 0)] * 2 + [(0, 0, 0)]
    y = lax.pad(y, jnp.zeros((), y.dtype), whole)
    y = y.reshape(batch, rows, columns, blocks, s, blocks, -1)
    total = jnp.zeros((), y.dtype)
    for i in range(blocks):
        for j in range(blocks):
            piece = y[:, :, :, i, :, j].transpose(0, 1, 3, 2, 4)
            shift = [(i, blocks - 1 - i, 0), (0, 0, 0), (j, blocks - 1 - j, 0)]
            shift = [(0, 0, 0), *shift, (0, 0, 0)]
            total = total + lax.pad(piece, jnp.zeros((), y.dtype), shift)
    total = total.reshape(
        batch, s * (rows - 1 + blocks), s * (columns - 1 + blocks), -1
    )
    return _fit(_fit(total, 1, -p, height), 2, -p, width)


def _fit(x: jax.Array, axis: int, low: int, size: int) -> jax.Array:
    """Pads (or crops) `axis` by `low` in front, and behind to reach `size`."""
    config = [(0, 0, 0)] * x.ndim
    config[axis] = (low, size - low - x.shape[axis], 0)
    return lax.pad(x, jnp.zeros((), x.dtype), config)


def conv(x: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """Convolves images.

    Args:
      x: images, shape `[B, H, W, C]`.
      kernel: matrix of shape `[O, k * k * C]`.
      geometry: kernel side, stride and padding.

    Returns:
      Images of shape `[B, H', W', O]`, `H' = (H + 2 p - k) // s + 1`.
    """
    return _conv(x, kernel, geometry)


def conv_transpose(x: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """Convolves images transposed, the adjoint of `conv` with the same kernel.

    Args:
      x: images, shape `[B, H', W', O]`.
      kernel: matrix of shape `[O, k * k * C]`.
      geometry: kernel side, stride and padding.

    Returns:
      Images of shape `[B, H, W, C]`, `H = s (H' - 1) + k - 2 p`.
    """
    return _conv_transpose(x, kernel, geometry)


# On CPU: matrix products.


def _conv_matmul(geometry, x, kernel):
    return _product(patches(x, geometry), kernel.T).astype(x.dtype)


def _conv_transpose_matmul(geometry, x, kernel):
    height, width = map(geometry.larger, x.shape[1:3])
    y = overlap_add(_product(x, kernel), geometry, height, width)
    return y.astype(x.dtype)


def _conv_matmul_backward(geometry, x, kernel, dy):
    dx = overlap_add(_product(dy, kernel), geometry, *x.shape[1:3])
    return dx.astype(x.dtype), _outer(dy, patches(x, geometry))


def _conv_transpose_matmul_backward(geometry, x, kernel, dy):
    gathered = patches(dy, geometry)
    dx = _product(gathered, kernel.T)
    return dx.astype(x.dtype), _outer(x, gathered)


def _product(a: jax.Array, b: jax.Array) -> jax.Array:
    """`a b`, added up and returned in float32, or what is given if that is wider."""
    wide = jnp.promote_types(a.dtype, jnp.float32)
    return jnp.matmul(a, b, preferred_element_type=wide)


def _outer(a: jax.Array, b: jax.Array) -> jax.Array:
    """`a^T b` summed over images and places; this order is the fast one on CPU."""
    product = _product(a.reshape(-1, a.shape[-1]).T, b.reshape(-1, b.shape[-1]))
    return product.astype(a.dtype)


# Elsewhere: `lax.conv_general_dilated`, which adds bfloat16 up in float32 by itself.


def _conv_lax(geometry, x, kernel):
    k, s, p = geometry
    kernel = kernel.reshape(-1, k, k, x.shape[-1])
    return lax.conv_general_dilated(
        x, kernel, (s, s), [(p, p)] * 2, dimension_numbers=("NHWC", "OHWI", "NHWC")
    )


def _conv_transpose_lax(geometry, x, kernel):
    k, s, p = geometry
    kernel = kernel.reshape(x.shape[-1], k, k, -1)[:, ::-1, ::-1]
    return lax.conv_general_dilated(
        x,
        kernel,
        (1, 1),
        [(k - 1 - p, k - 1 - p)] * 2,
        lhs_dilation=(s, s),
        dimension_numbers=("NHWC", "IHWO", "NHWC"),
    )


def _lax_backward(forward: Callable) -> Callable:
    def backward(geometry, x, kernel, dy):
        return jax.vjp(functools.partial(forward, geometry), x, kernel)[1](dy)

    return backward


def _differentiable(matmul: Callable, backward: Callable, on_lax: Callable) -> Callable:
    """A function of (x, kernel, geometry) with the gradient that is fast."""
    lax_backward = _lax_backward(on_lax)

    @functools.lru_cache(32)
    def by_platform(matmul, on_lax, geometry):
        both = functools.partial(
            lax.platform_dependent,
            cpu=functools.partial(matmul, geometry),
            default=functools.partial(on_lax, geometry),
        )
        return jax.jit(both, inline=True)  # Traced once for equal shapes.

    @functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
    def function(x, kernel, geometry):
        return by_platform(matmul, on_lax, geometry)(x, kernel)

    def run_forward(x, kernel, geometry):
        return function(x, kernel, geometry), (x, kernel)

    def run_backward(geometry, residuals, dy):
        return by_platform(backward, lax_backward, geometry)(*residuals, dy)

    function.defvjp(run_forward, run_backward)
    return function


_conv = _differentiable(_conv_matmul, _conv_matmul_backward, _conv_lax)
_conv_transpose = _differentiable(
    _conv_transpose_matmul, _conv_transpose_matmul_backward, _conv_transpose_lax
)


def to_hwio(kernel: jax.Array, size: int) -> jax.Array:
    """Turns a matrix kernel `[O, k * k * C]` into `[k, k, C, O]`."""
    return kernel.reshape(kernel.shape[0], size, size, -1).transpose(1, 2, 3, 0)


def from_hwio(kernel: jax.Array) -> jax.Array:
    """Turns a kernel `[k, k, C, O]` into the matrix `[O, k * k * C]`."""
    return kernel.transpose(3, 0, 1, 2).reshape(kernel.shape[-1], -1)
