"""Memories: rows of all training images, or of every few of them, kept by a pass."""

import jax
import jax.numpy as jnp

from ocjax.modules import axis

SHOWN = 3  # Rows nearest to an image that `Views.nearest` names, at most.


def filled(
    memory: jax.Array, rows: jax.Array, numbers: jax.Array, stride: jax.Array | int = 1
) -> jax.Array:
    """Memory with the rows of a batch, from all devices that share it.

    Args:
      memory: rows so far, shape `[M, ...]`.
      rows: rows of the batch's images, shape `[B, ...]`.
      numbers: numbers of the images in the pass, int32 `[B]`; -1 for none.
      stride: distance of images that are kept; image n is row n / stride.
    """
    rows, numbers = axis.gather((rows, numbers))
    kept = (numbers >= 0) & (numbers % stride == 0)
    # A place out of the memory drops the row.
    places = jnp.where(kept, numbers // stride, len(memory))
    return memory.at[places].set(rows.astype(memory.dtype), mode="drop")
