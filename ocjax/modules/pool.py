"""Pooling over squares that do not overlap, or over all places.

`lax.reduce_window` is slow to differentiate on CPU; reshaped images are not. Maxima are
chosen, not reduced: the gradient of `jnp.max` is divided among the places that equal
the result, and where the compiler computes an activation twice and rounds it
differently there is no such place.
"""

import functools

import jax
import jax.numpy as jnp


def maximum(x: jax.Array, size: int = 2) -> jax.Array:
    """Maximum over each square.

    Args:
      x: images, shape `[B, H, W, C]`; `size` divides H and W.
      size: side of the squares.

    Returns:
      Images of shape `[B, H / size, W / size, C]`.

    Raises:
      ValueError: the squares do not fill the images.
    """
    squares = _squares(x, size)
    places = [squares[:, :, i, :, j] for i in range(size) for j in range(size)]
    return functools.reduce(lambda a, b: jnp.where(b > a, b, a), places)


def mean(x: jax.Array, size: int = 2) -> jax.Array:
    """Mean over each square; arguments and errors as of `maximum`."""
    return _squares(x, size).mean(axis=(2, 4))


def largest(x: jax.Array) -> jax.Array:
    """Maximum of each channel over all places, `[B, H, W, C]` to `[B, C]`."""
    x = x.reshape(len(x), -1, x.shape[-1])
    place = jnp.argmax(x, axis=1, keepdims=True)
    return jnp.take_along_axis(x, place, axis=1)[:, 0]


def _squares(x: jax.Array, size: int) -> jax.Array:
    """Reshapes `[B, H, W, C]` to `[B, H / size, size, W / size, size, C]`."""
    batch, height, width, channels = x.shape
    if height % size or width % size:
        raise ValueError(
            f"Expected sides that are multiples of {size}, got {height}x{width}."
        )
    return x.reshape(batch, height // size, size, width // size, size, channels)
