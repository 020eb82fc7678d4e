"""The mapped axis over whose devices a batch is spread, named here alone.

What is written for one device works on several: each has a part of the batch, in
contiguous parts, and these functions act across them. Where no axis of this name is
bound, as on one device or in lanes of models, they leave their arguments alone.
"""

from typing import Any

import jax
import jax.numpy as jnp

NAME = "batch"


def size() -> int:
    """Number of devices that share a batch."""
    try:
        return jax.lax.axis_size(NAME)
    except NameError:  # No such axis is bound.
        return 1


def index() -> jax.Array | int:
    """Number of this device among those that share a batch, counted from 0."""
    return jax.lax.axis_index(NAME) if size() > 1 else 0


def mean(tree) -> Any:
    """Averages each array of a tree over the devices that share a batch."""
    return jax.lax.pmean(tree, NAME) if size() > 1 else tree


def total(tree) -> Any:
    """Adds each array of a tree up over the devices that share a batch."""
    return jax.lax.psum(tree, NAME) if size() > 1 else tree


def gather(tree) -> Any:
    """Returns the whole batch: arrays `[B, ...]` of all parts, joined in order."""
    return jax.lax.all_gather(tree, NAME, tiled=True) if size() > 1 else tree


def shift(batch: jax.Array) -> jax.Array:
    """Returns the example before each in its batch, cyclically.

    Unlike in a random permutation no example is its own partner, unless the whole
    batch is one example. The first example of a device gets the last of the device
    before.

    Args:
      batch: part of the batch on this device, shape `[B, ...]`.

    Returns:
      The shifted part, same shape.

    References:
      Chen et al., [LR-GDAN](https://doi.org/10.24963/ijcai.2020/106), 2020, calls
      the result the disturbed batch.
    """
    last, devices = batch[-1:], size()
    if devices > 1:
        to_next = [(i, (i + 1) % devices) for i in range(devices)]
        last = jax.lax.ppermute(last, NAME, to_next)
    return jnp.concatenate([last, batch[:-1]])
