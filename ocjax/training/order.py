"""Orders of the images in an epoch: functions of key and epoch."""

import functools
from collections.abc import Callable, Sequence

import jax
import numpy as np

from ocjax._checks import InputError

Order = Callable[[int], np.ndarray]  # Indices `[steps_per_epoch * B]` of an epoch.


def shuffled(key: jax.Array, count: int, length: int) -> Order:
    """Order with every image at most once: part of a permutation of `count`."""
    return lambda epoch: _permutation(jax.random.fold_in(key, epoch), count)[:length]


def in_order(count: int, batch_size: int, width: int) -> Order:
    """Order of all images as they come; its last image fills a batch up to `width`."""
    steps = -(-count // batch_size)
    starts, places = np.arange(steps) * batch_size, np.arange(width)
    filled = starts[:, None] + np.minimum(places, batch_size - 1)
    numbers = np.minimum(filled, count - 1).ravel()
    return lambda epoch: numbers


def grouped(key: jax.Array, groups: Sequence[np.ndarray], length: int) -> Order:
    """Order with one image of each group in turn, `length` in all.

    A group is gone through in random order, and over again in another one.

    Args:
      key: key of the order.
      groups: indices of the images of each group.
      length: length of an epoch's order, a multiple of the number of groups.
    """
    per_group = length // len(groups)

    def order(epoch: int) -> np.ndarray:
        columns = []
        for i, group in enumerate(groups):
            group_key = jax.random.fold_in(jax.random.fold_in(key, epoch), i)
            rounds = [
                _permutation(jax.random.fold_in(group_key, n), len(group))
                for n in range(-(-per_group // len(group)))
            ]
            columns.append(group[np.concatenate(rounds)[:per_group]])
        return np.stack(columns, axis=1).ravel()

    return order


def check_groups(groups: dict[str, np.ndarray], batch_size: int, devices: int) -> None:
    """Raises `InputError` unless all groups can have equal parts in each batch."""
    for name, members in groups.items():
        if not len(members):
            raise InputError(
                f"The training images have no {name} ones; use more images, or another "
                "fraction."
            )
    if batch_size % (len(groups) * devices):
        raise InputError(
            f"`batch_size` (={batch_size}) must be a multiple of {len(groups)} (one "
            f"part for each of {', '.join(groups)}) times the number of devices "
            f"(={devices})."
        )


@functools.partial(jax.jit, static_argnums=1)
def _permuted(key: jax.Array, count: int) -> jax.Array:
    return jax.random.permutation(key, count)


def _permutation(key: jax.Array, count: int) -> np.ndarray:
    return np.asarray(_permuted(key, count))
