"""Randomness that does not depend on how many devices share a batch.

Each example draws from a key of its own, made from its number in the whole batch. A
batch of one device and the same batch spread over several, in contiguous parts, so
see the same numbers.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from ocjax._checks import InputError
from ocjax.modules import axis


def example_keys(key: jax.Array, count: int) -> jax.Array:
    """Returns one key for each example on this device.

    Args:
      key: randomness of the whole batch, the same on all devices.
      count: examples on this device, B.

    Returns:
      Keys of shape `[B]`.
    """
    numbers = axis.index() * count + jnp.arange(count)
    return jax.vmap(lambda number: jax.random.fold_in(key, number))(numbers)


def normal(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Draws from the standard normal distribution.

    Args:
      key: randomness of the whole batch, the same on all devices.
      shape: shape of the part on this device, `[B, ...]`.

    Returns:
      Numbers of that shape.
    """
    keys = example_keys(key, shape[0])
    return jax.vmap(lambda key: jax.random.normal(key, shape[1:]))(keys)


def blocks(
    key: jax.Array, shape: tuple[int, ...], part: float, side: int = 4
) -> jax.Array:
    """Draws square blocks of images, each with the same probability.

    Args:
      key: randomness of the whole batch, the same on all devices.
      shape: shape of the images on this device, `[B, H, W, C]`.
      part: probability of a block, in `[0, 1]`.
      side: pixels of a block's side; H and W are multiples of it.

    Returns:
      Whether pixels lie in drawn blocks, `[B, H, W, 1]`.
    """
    count, height, width, _ = shape
    grid = height // side, width // side
    keys = example_keys(key, count)
    drawn = jax.vmap(lambda key: jax.random.bernoulli(key, part, grid))(keys)
    return drawn.repeat(side, axis=1).repeat(side, axis=2)[..., None]


class Dropout(nn.Module):
    """Zeroes units at random while training, and scales the others to make up.

    Attributes:
      rate: probability that a unit is zeroed, in `[0, 1)`.
    """

    rate: float

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Drops units.

        Args:
          x: activations, shape `[B, ...]`.
          train: drop units, by the key "dropout"; else return `x`.

        Returns:
          Activations of the same shape and expectation.

        Raises:
          ValueError: the rate is not in `[0, 1)`.
        """
        if not 0 <= self.rate < 1:
            raise InputError(f"Expected a dropout `rate` in [0, 1), got {self.rate}.")
        if not train or not self.rate or self.is_initializing():
            return x
        keys = example_keys(self.make_rng("dropout"), len(x))
        keep = 1 - self.rate
        mask = jax.vmap(lambda key: jax.random.bernoulli(key, keep, x.shape[1:]))(keys)
        return jnp.where(mask, x / keep, 0)
