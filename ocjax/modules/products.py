"""Convolutions as matrix products.

A convolution is linear in the image and in the kernel. So it can be written as

    y = collect([v u^T for v, u in zip(gather(x), expand(K))])

with linear `gather`, `expand` and `collect`, and their transposes `scatter`, `contract`
and `spread` give the transposed convolution and both gradients (`conv.py`). There are
four such forms, all exact:

- *patches*: one product with all patches of the image.
- *pixels*: one product with all pixels, whose results are shifted and added. For fewer
  channels written than read.
- *blocks*: one product for four neighbouring places, whose patches overlap. For few
  channels, where gathering costs more than multiplying.
- *filtering*: minimal filtering, F(2, 2) and F(2, 3), which computes 2x2 places by 9 or
  16 products of single pixels in place of 16 or 36; a kernel with a stride is one
  without on blocks of pixels. For many channels. Its factors are 1, -1 and 1/2, so it
  rounds hardly more than the others.

References:
  Lavin and Gray, [Fast algorithms for convolutional neural
  networks](https://arxiv.org/abs/1509.09308), 2016, section 4.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


class Geometry(NamedTuple):
    """Kernel, stride and padding of a convolution, alike on both image axes; static."""

    kernel: int  # Side of the kernel, in pixels.
    stride: int  # Step of the kernel, in pixels of the larger image.
    padding: int  # Zeros added on each side.

    def smaller(self, size: int) -> int:
        """Side of the image that a convolution writes."""
        return (size + 2 * self.padding - self.kernel) // self.stride + 1

    def larger(self, size: int) -> int:
        """Side of the image that a transposed convolution writes."""
        return (size - 1) * self.stride + self.kernel - 2 * self.padding


class Products(NamedTuple):
    """One form of a convolution of images `[B, H, W, C]` to `[B, H', W', O]`.

    Lists are of matrices, one a product; `n` is the number of places it covers.
    """

    gather: Callable[[jax.Array], list[jax.Array]]  # [B, H, W, C] to [n, c].
    expand: Callable[[jax.Array], list[jax.Array]]  # [O, k * k * C] to [o, c].
    collect: Callable[[list[jax.Array]], jax.Array]  # [n, o] to [B, H', W', O].
    scatter: Callable[[list[jax.Array]], jax.Array]  # Transpose of `gather`.
    contract: Callable[[list[jax.Array]], jax.Array]  # Transpose of `expand`.
    spread: Callable[[jax.Array], list[jax.Array]]  # Transpose of `collect`.


def fits(form: str, geometry: Geometry, larger: jax.ShapeDtypeStruct) -> bool:
    """Whether a convolution of images like `larger` can be computed in a form."""
    k, s, _ = geometry
    sides = [geometry.smaller(size) for size in larger.shape[1:3]]
    even = all(side > 0 and side % 2 == 0 for side in sides)
    # Filtering takes differences, which narrower numbers would round.
    filters = k % s == 0 and k // s in _FILTERS and larger.dtype.itemsize >= 4
    return {
        "patches": True,
        "pixels": s == 1 and geometry.padding < k,
        "blocks": even and s == 1,
        "filtering": even and filters,
    }[form]


def choose(geometry: Geometry, larger: jax.ShapeDtypeStruct, features: int) -> str:
    """Returns the form to use on CPU, where layers alike were fastest in it.

    Filtering has many operations to compile, so it needs to save much.
    benchmarks/convolutions.py measures what all choices together are worth.

    Args:
      geometry: kernel side, stride and padding of the convolution.
      larger: images that it reads, `[B, H, W, C]`.
      features: channels that it writes.
    """
    _, height, width, channels = larger.shape
    places = geometry.smaller(height) * geometry.smaller(width)
    multiplications = places * geometry.kernel**2 * channels * features
    few = geometry.stride**2 * channels < 32 or features < 16
    if geometry.kernel == 1:
        form = "patches"
    elif few:
        form = "pixels" if 4 * features <= channels else "blocks"
    else:
        form = "filtering" if multiplications >= 2**19 else "patches"
    return form if fits(form, geometry, larger) else "patches"


def build(
    form: str, geometry: Geometry, larger: jax.ShapeDtypeStruct, features: int
) -> Products:
    """Builds the form called `form`, which fits; `choose` explains the arguments.

    Its functions take any dtype but `scatter` and `contract`, which take what products
    are added up in: float32, or the dtype of `larger` if that is wider.
    """
    wide = jnp.promote_types(larger.dtype, jnp.float32)
    larger = jax.ShapeDtypeStruct(larger.shape, wide)
    kernel = jax.ShapeDtypeStruct(
        (features, geometry.kernel**2 * larger.shape[-1]), wide
    )
    gather, expand, collect, scatter, spread = _MAPS[form](geometry, larger)
    contract = lambda us: jax.linear_transpose(expand, kernel)(us)[0]
    return Products(gather, expand, collect, scatter, contract, spread)


def _patches(geometry: Geometry, larger: jax.ShapeDtypeStruct):
    batch, height, width, _ = larger.shape
    places = batch, geometry.smaller(height), geometry.smaller(width)

    def gather(x):
        y = patches(x, geometry)
        return [y.reshape(-1, y.shape[-1])]

    def scatter(vs):
        return overlap_add(vs[0].reshape(*places, -1), geometry, height, width)

    expand = lambda kernel: [kernel]
    collect = lambda ms: ms[0].reshape(*places, -1)
    spread = lambda y: [y.reshape(-1, y.shape[-1])]
    return gather, expand, collect, scatter, spread


def _pixels(geometry: Geometry, larger: jax.ShapeDtypeStruct):
    """Patches read backwards: places of the smaller image that each pixel adds to."""
    k, _, padding = geometry
    batch, height, width, _ = larger.shape
    sides = geometry.smaller(height), geometry.smaller(width)
    smaller = jax.ShapeDtypeStruct((batch, *sides, 1), larger.dtype)
    backwards = Geometry(k, 1, k - 1 - padding)
    spread, _, scatter, collect, gather = _patches(backwards, smaller)

    def expand(kernel):
        kernel = kernel.reshape(len(kernel), k, k, -1)[:, ::-1, ::-1]
        return [kernel.transpose(1, 2, 0, 3).reshape(k * k * len(kernel), -1)]

    return gather, expand, collect, scatter, spread


def _blocks(geometry: Geometry, larger: jax.ShapeDtypeStruct):
    """A patch for 2x2 places is one pixel larger, and so is the kernel, in 4 shifts."""
    k, _, padding = geometry
    wider = Geometry(k + 1, 2, padding)
    gather, _, wide_collect, scatter, wide_spread = _patches(wider, larger)

    def expand(kernel):
        kernel = kernel.reshape(len(kernel), k, k, -1)
        shift = lambda i, j: [(0, 0), (i, 1 - i), (j, 1 - j), (0, 0)]
        shifted = [jnp.pad(kernel, shift(i, j)) for i in range(2) for j in range(2)]
        kernel = jnp.stack(shifted)
        return [kernel.reshape(4 * kernel.shape[1], -1)]

    def collect(ms):
        y = wide_collect(ms)
        batch, rows, columns, _ = y.shape
        y = y.reshape(batch, rows, columns, 2, 2, -1).transpose(0, 1, 3, 2, 4, 5)
        return y.reshape(batch, 2 * rows, 2 * columns, -1)

    def spread(y):
        batch, rows, columns, features = y.shape
        y = y.reshape(batch, rows // 2, 2, columns // 2, 2, features)
        y = y.transpose(0, 1, 3, 2, 4, 5)
        return wide_spread(y.reshape(batch, rows // 2, columns // 2, -1))

    return gather, expand, collect, scatter, spread


class _Filter(NamedTuple):
    """Minimal filter F(2, r): two outputs of a filter of r taps by r + 1 products.

    `y = collect ((expand g) * (gather d))`, as in Lavin and Gray, equation 5.
    """

    gather: np.ndarray
    expand: np.ndarray
    collect: np.ndarray


_FILTERS = {
    2: _Filter(
        gather=np.array([[1, -1, 0], [0, 1, 0], [0, -1, 1]]),
        expand=np.array([[1, 0], [1, 1], [0, 1]]),
        collect=np.array([[1, 1, 0], [0, 1, 1]]),
    ),
    3: _Filter(
        gather=np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]),
        expand=np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]),
        collect=np.array([[1, 1, 1, 0], [0, 1, -1, -1]]),
    ),
}


def _filtering(geometry: Geometry, larger: jax.ShapeDtypeStruct):
    k, s, padding = geometry
    batch, height, width, channels = larger.shape
    rows, columns = geometry.smaller(height), geometry.smaller(width)
    tiles = batch, rows // 2, columns // 2
    taps = k // s
    gathers, expands, collects = _FILTERS[taps]
    products = taps + 1

    def gather(x):
        x = _fit(x, 1, padding, s * (rows - 1 + taps))
        x = _fit(x, 2, padding, s * (columns - 1 + taps))
        x = x.reshape(batch, rows - 1 + taps, s, columns - 1 + taps, s, channels)
        # Takes block j of every tile; tiles are two blocks apart.
        blocks = lambda x, axis, size: [
            lax.slice_in_dim(x, j, j + size - 1, 2, axis) for j in range(products)
        ]
        return [
            v.transpose(0, 1, 3, 2, 4, 5).reshape(-1, s * s * channels)
            for row in _combine(gathers, blocks(x, 1, rows))
            for v in _combine(gathers, blocks(row, 3, columns))
        ]

    def expand(kernel):
        # With taps first the copy leaves loops, and slices need none.
        kernel = kernel.reshape(len(kernel), taps, s, taps, s, channels)
        kernel = kernel.transpose(1, 3, 0, 2, 4, 5)
        kernel = kernel.reshape(taps, taps, -1, s * s * channels)
        return [
            u
            for row in _combine(expands, _unstack(kernel, 0))
            for u in _combine(expands, _unstack(row, 0))
        ]

    def collect(ms):
        ms = [m.reshape(*tiles, -1) for m in ms]
        lines = [ms[i : i + products] for i in range(0, len(ms), products)]
        lines = [jnp.stack(_combine(collects, line), 3) for line in lines]
        y = jnp.stack(_combine(collects, lines), 2)
        return y.reshape(batch, rows, columns, -1)

    def spread(y):
        y = y.reshape(batch, rows // 2, 2, columns // 2, 2, -1)
        return [
            m.reshape(-1, m.shape[-1])
            for row in _combine(collects.T, _unstack(y, 2))
            for m in _combine(collects.T, _unstack(row, 3))
        ]

    scatter = lambda vs: jax.linear_transpose(gather, larger)(vs)[0]
    return gather, expand, collect, scatter, spread


_MAPS = {
    "patches": _patches,
    "pixels": _pixels,
    "blocks": _blocks,
    "filtering": _filtering,
}
FORMS = tuple(_MAPS)


def _combine(matrix: np.ndarray, parts: list[jax.Array]) -> list[jax.Array]:
    """Sums of `parts`, one for each row of `matrix`, whose entries are the factors."""
    scaled = lambda factor, x: x if factor == 1 else factor.astype(x.dtype) * x
    return [
        functools.reduce(
            jnp.add, [scaled(f, x) for f, x in zip(row, parts, strict=True) if f]
        )
        for row in matrix
    ]


def _unstack(x: jax.Array, axis: int) -> list[jax.Array]:
    return [lax.index_in_dim(x, i, axis, False) for i in range(x.shape[axis])]


def patches(x: jax.Array, geometry: Geometry) -> jax.Array:
    """Gathers the patches that a convolution sees, the `gather` of "patches".

    Args:
      x: images, shape `[B, H, W, C]`.
      geometry: kernel side, stride and padding of the convolution.

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
    """Adds patches up where they overlap, the transpose of `patches`.

    Args:
      y: patches, shape `[B, H', W', k * k * C]`.
      geometry: side, stride and padding of the convolution that gathers such patches.
      height: height of the images returned, in pixels.
      width: width of the images returned, in pixels.

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
