"""Detectors that take an image as a vector: one pass gathers those that train.

What is fitted is fitted on the host, in float64, by scikit-learn or as it does. What is
learned are arrays in the state, and scores are computed of these on any device.

With `components`, vectors are those of the principal components that keep a share of
the training images' variance, centred on their mean. An image's part outside of them is
not looked at.
"""

import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from ocjax import _checks
from ocjax.methods import _memory, base

MOST_BYTES = 2 * 2**30  # Of all training pixels; a fit takes a few times as much.
# Variance of a pixel, and of a component beside the first, that rounding can leave.
ROUNDING = np.finfo(np.float32).eps ** 2


def on_pixels(
    name: str,
    learns: Callable[[int], Mapping[str, np.ndarray]],
    fit: Callable,
    score: Callable,
    *,
    least: int = 2,
    because: str = "",
    embed: Callable | None = None,
    dtype: DTypeLike = jnp.float32,
) -> base.Method:
    """Builds a method that is fitted to all training images at once.

    Args:
      name: of the method, and of its parameters.
      learns: size D -> arrays like those that `fit` returns; what depends on the
        training images may be of another length.
      fit: (pixels `[N, D]`, seed) -> arrays, on the host; pixels are float64.
      score: (parameters, pixels `[B, D]`) -> `[B]`.
      least: number of training images that it takes.
      because: what says so, such as " (`hyper.neighbours` is 5)".
      embed: (parameters, pixels `[B, D]`) -> latents.
      dtype: of the method; parameters are of float32, or what is more.

    Returns:
      The method; it has one pass and no networks. Beside what it learns, its parameters
      have the `mean` of the training images, `[S, S, C]`, and a `seed`, uint32, which
      the key of `init` decides.
    """
    exact = jnp.promote_types(dtype, jnp.float32)

    def cast(arrays):
        real = lambda x: np.issubdtype(np.asarray(x).dtype, np.floating)
        return {n: np.asarray(x, exact if real(x) else None) for n, x in arrays.items()}

    def init(key, images):
        shape = images.shape[1:]
        learned = {"mean": np.zeros(shape), **learns(math.prod(shape))}
        arrays = {n: jnp.asarray(x) for n, x in cast(learned).items()}
        return {"seed": jax.random.bits(key, (), jnp.uint32), **arrays}

    def start(state, shape, count):
        del state
        _check_count(name, shape, count, least, because)
        return {"pixels": jnp.zeros((count, math.prod(shape)), exact)}

    def add(state, sums, images, numbers):
        del state
        rows = images.reshape(len(images), -1)
        return {"pixels": _memory.filled(sums["pixels"], rows, numbers)}

    def finish(params, sums):
        pixels = np.asarray(sums["pixels"], np.float64)
        learned = fit(pixels, int(params["seed"]))
        learned["mean"] = pixels.mean(0).reshape(params["mean"].shape)
        return {"seed": np.asarray(params["seed"]), **cast(learned)}

    def of_images(function):
        def apply(state, x):
            params = state.params[name]
            check_images(x, params["mean"])
            return function(params, x.reshape(len(x), -1))

        return apply

    return base.of_one_pass(
        name,
        init=init,
        start=start,
        add=add,
        finish=finish,
        score=of_images(score),
        embed=embed and of_images(embed),
    )


def on_components(
    name: str,
    learns: Callable[[int], Mapping[str, np.ndarray]],
    fit: Callable,
    score: Callable,
    *,
    variance: float,
    dtype: DTypeLike = jnp.float32,
    **options,
) -> base.Method:
    """Builds a method as `on_pixels` does, of an image's principal components.

    Args:
      name: of the method.
      learns: size K of a point -> arrays like those that `fit` returns.
      fit: (points `[N, K]`, seed) -> arrays; the points' mean is 0.
      score: (parameters, points `[B, K]`) -> `[B]`.
      variance: share of the variance that the components keep; 0 for centred pixels.
      dtype: that images are projected in.
      **options: of `on_pixels`.

    Returns:
      The method. Unless points are pixels, its parameters have `components` too,
      orthonormal rows `[K, D]`, and its latents are the points.

    Raises:
      InputError: the share is out of range.
    """
    if not 0 <= variance < 1:
        raise _checks.InputError(
            f"`hyper.variance` (={variance}) must be at least 0 and less than 1."
        )
    exact = jnp.promote_types(dtype, jnp.float32)

    def like(size):
        if not variance:
            return learns(size)
        return {"components": np.zeros((1, size)), **learns(1)}

    def fit_points(pixels, seed):
        centred = pixels - pixels.mean(0)
        if not variance:
            return fit(centred, seed)
        components = principal(centred, variance)
        return {"components": components, **fit(centred @ components.T, seed)}

    def project(params, x):
        centred = x - params["mean"].reshape(1, -1)
        if not variance:
            return centred.astype(exact)
        return product(centred.astype(dtype), params["components"].T.astype(dtype))

    return on_pixels(
        name,
        like,
        fit_points,
        lambda params, x: score(params, project(params, x)),
        embed=project if variance else None,
        dtype=dtype,
        **options,
    )


def principal(centred: np.ndarray, variance: float) -> np.ndarray:
    """Directions that explain more than a share of the variance, `[K, D]`.

    Args:
      centred: vectors `[N, D]`, of mean 0.
      variance: the share, between 0 and 1.

    Returns:
      Orthonormal rows, those along which vectors differ most first; or one row of
      zeros, where all vectors are alike.
    """
    few = len(centred) < centred.shape[1]
    products = centred @ centred.T if few else centred.T @ centred
    values, vectors = np.linalg.eigh(products)
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    if values.sum() <= centred.size * ROUNDING:
        return np.zeros((1, centred.shape[1]))
    share = np.cumsum(values) / values.sum()
    kept = int(np.searchsorted(share, variance, side="right")) + 1
    kept = min(kept, int((values > values[0] * ROUNDING).sum()))
    rows = vectors[:, :kept].T
    return (rows @ centred) / np.sqrt(values[:kept, None]) if few else rows


def product(a: jax.Array, b: jax.Array) -> jax.Array:
    """The matrix product of `a` and `b`, with sums in float32 at least."""
    return jnp.matmul(
        a,
        b,
        precision=jax.lax.Precision.HIGHEST,
        preferred_element_type=jnp.promote_types(a.dtype, jnp.float32),
    )


def squared_distances(x: jax.Array, points: jax.Array) -> jax.Array:
    """Squared distances of `[B, K]` to `[N, K]`, `[B, N]`.

    Rounding is that of the squared norms, so both are to be centred.
    """
    norms = jnp.square(x).sum(1)[:, None] + jnp.square(points).sum(1)[None]
    return jnp.maximum(norms - 2 * product(x, points.T), 0)


def nearest(x: jax.Array, points: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
    """The `k` nearest of the points to each of `x`.

    Args:
      x: `[B, K]`.
      points: `[N, K]`, centred as `x` is.
      k: at most N.

    Returns:
      Their numbers, int32 `[B, k]`, and their distances `[B, k]`, both nearest first.
      Distances are of differences, so that those of equal vectors are 0, and have a
      gradient everywhere.
    """
    _, numbers = jax.lax.top_k(-squared_distances(x, points), k)
    neighbours = rows_of(points, numbers)
    squares = jnp.square(x[:, None] - neighbours).sum(-1)
    apart = squares > 0
    return numbers, jnp.where(apart, jnp.sqrt(jnp.where(apart, squares, 1)), 0)


def rows_of(table: jax.Array, numbers: jax.Array) -> jax.Array:
    """Rows of a table by their numbers, none of which is out of bounds."""
    return jnp.asarray(table).at[numbers].get(mode="clip", wrap_negative_indices=False)


def check_images(images: jax.Array, mean: jax.Array) -> None:
    """Raises `InputError` unless images are of the shape of the mean training image."""
    if images.shape[1:] != mean.shape:
        raise _checks.InputError(
            "Expected `images` of the size and channels of training, "
            f"{list(mean.shape)}, got {list(images.shape[1:])}."
        )


def check_positive(name: str, value: int) -> None:
    """Raises `InputError` unless a number of the configuration is at least 1."""
    if value < 1:
        raise _checks.InputError(f"`hyper.{name}` (={value}) must be at least 1.")


def _check_count(
    name: str, shape: tuple[int, ...], count: int, least: int, because: str
) -> None:
    """Raises `InputError` unless images are enough, and their pixels not too many."""
    if count < least:
        raise _checks.InputError(
            f"{name} takes at least {least} training images{because}, got {count}."
        )
    size = 4 * count * math.prod(shape)
    if size > MOST_BYTES:
        raise _checks.InputError(
            f"{name} keeps the pixels of all training images, at most "
            f"{MOST_BYTES / 2**30:.0f} GiB, and {count:,} of "
            f"{' x '.join(map(str, shape))} are {size / 2**30:.1f}: lower image_size."
        )
