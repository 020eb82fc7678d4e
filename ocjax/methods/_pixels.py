"""Detectors that take an image as a vector: one pass gathers those that train.

Fits run on the host, in float64, by scikit-learn or as it does. They give arrays in the
state, and scores are computed of these on any device.

With `components`, vectors are those of the principal components that keep a share of
the training images' variance, centred on their mean. An image's part outside of them is
ignored.
"""

import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from ocjax import _checks
from ocjax.methods import _memory, base

MOST_BYTES = 2 * 2**30  # Size of training pixels; a fit takes a few times as much.
# Variance of a pixel, and of a component beside the first, that rounding can leave.
ROUNDING = np.finfo(np.float32).eps ** 2


def on_pixels(
    name: str,
    placeholders: Callable[[int], Mapping[str, np.ndarray]],
    fit: Callable,
    score: Callable,
    *,
    least: int = 2,
    reason: str = "",
    embed: Callable | None = None,
    dtype: DTypeLike = jnp.float32,
) -> base.Method:
    """Builds a method that is fitted to all training images at once.

    Args:
      name: name of the method, and of its parameters.
      placeholders: size D -> arrays like those that `fit` returns; lengths that depend
        on the training images may differ.
      fit: (pixels `[N, D]`, seed) -> arrays, on the host; pixels are float64.
      score: (parameters, pixels `[B, D]`) -> `[B]`.
      least: least number of training images.
      reason: reason for that number, such as " (`hyper.neighbours` is 5)".
      embed: (parameters, pixels `[B, D]`) -> latents.
      dtype: type of the method; parameters have it, or float32 where that is more.

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
        learned = {"mean": np.zeros(shape), **placeholders(math.prod(shape))}
        arrays = {n: jnp.asarray(x) for n, x in cast(learned).items()}
        return {"seed": jax.random.bits(key, (), jnp.uint32), **arrays}

    def start(state, shape, count):
        del state
        _check_count(name, shape, count, least, reason)
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

    def on_images(function):
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
        score=on_images(score),
        embed=embed and on_images(embed),
    )


def on_components(
    name: str,
    placeholders: Callable[[int], Mapping[str, np.ndarray]],
    fit: Callable,
    score: Callable,
    *,
    variance: float,
    dtype: DTypeLike = jnp.float32,
    **options,
) -> base.Method:
    """Builds a method as `on_pixels` does, on an image's principal components.

    Args:
      name: name of the method, and of its parameters.
      placeholders: size K of a point -> arrays like those that `fit` returns.
      fit: (points `[N, K]`, seed) -> arrays; the points' mean is 0.
      score: (parameters, points `[B, K]`) -> `[B]`.
      variance: share of the variance that the components keep; 0 for centred pixels.
      dtype: type that images are projected in.
      **options: options of `on_pixels`.

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

    def all_placeholders(size):
        if not variance:
            return placeholders(size)
        return {"components": np.zeros((1, size)), **placeholders(1)}

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
        all_placeholders,
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
      variance: share of the variance, between 0 and 1.

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
    """Matrix product of `a` and `b`, with sums in float32 at least."""
    return jnp.matmul(
        a,
        b,
        precision=jax.lax.Precision.HIGHEST,
        preferred_element_type=jnp.promote_types(a.dtype, jnp.float32),
    )


def squared_distances(x: jax.Array, points: jax.Array) -> jax.Array:
    """Squared distances `[B, N]` of vectors `[B, K]` to points `[N, K]`.

    Rounding is that of the squared norms, so both are to be centred.
    """
    norms = jnp.square(x).sum(1)[:, None] + jnp.square(points).sum(1)[None]
    return jnp.maximum(norms - 2 * product(x, points.T), 0)


def nearest(x: jax.Array, points: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
    """Finds the `k` points that are nearest to each of `x`.

    Args:
      x: vectors `[B, K]`.
      points: points `[N, K]`, centred as `x` is.
      k: number of points to find, at most N.

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
    name: str, shape: tuple[int, ...], count: int, least: int, reason: str
) -> None:
    """Raises `InputError` unless images are enough, and their pixels not too many."""
    if count < least:
        raise _checks.InputError(
            f"{name} takes at least {least} training images{reason}, got {count}."
        )
    size = 4 * count * math.prod(shape)
    if size > MOST_BYTES:
        raise _checks.InputError(
            f"{name} keeps the pixels of all training images, at most "
            f"{MOST_BYTES / 2**30:.0f} GiB, and {count:,} of "
            f"{' x '.join(map(str, shape))} are {size / 2**30:.1f}: lower image_size."
        )
