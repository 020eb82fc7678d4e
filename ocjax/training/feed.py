"""Where the compiled loop finds its batches: on the device, or streamed to it.

Both give the same batches, those of a given order of each epoch.
"""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np

from ocjax.data import stream
from ocjax.training.order import Order
from ocjax.training.parallel import Devices

STREAMED_STEPS = 16  # In one piece when images are streamed: room for their batches.


class Plan(NamedTuple):
    """Which steps there are, counted from the start of training."""

    batch_size: int
    steps_per_epoch: int
    first: int  # The step to begin with.
    last: int  # The step to end before.


class Piece(NamedTuple):
    """What one compiled call reads: rows `first : first + steps` of `order`."""

    images: jax.Array
    order: jax.Array
    first: int
    steps: int


class Resident:
    """Keeps all images on the devices; a piece is some steps of an epoch's order."""

    def __init__(self, images: np.ndarray, order: Order, plan: Plan, devices: Devices):
        """Copies the images to the devices."""
        self._images = devices.replicate(images)
        self._plan = plan
        self._order = functools.lru_cache(1)(
            lambda epoch: devices.split(order(epoch).reshape(-1, plan.batch_size))
        )

    def take(self, step: int, limit: int) -> Piece:
        """Up to `limit` steps from `step` on, of one epoch."""
        epoch, first = divmod(step, self._plan.steps_per_epoch)
        steps = min(limit, self._plan.steps_per_epoch - first)
        return Piece(self._images, self._order(epoch), first, steps)


class Streamed:
    """Reads the batches of a few steps at a time, ahead of their use."""

    def __init__(self, images: np.ndarray, order: Order, plan: Plan, devices: Devices):
        """Begins to read."""
        self._plan, self._devices = plan, devices
        self._most = min(STREAMED_STEPS, plan.steps_per_epoch)
        rows = np.arange(self._most * plan.batch_size // devices.count)
        self._order = devices.replicate(rows.reshape(self._most, -1))
        batches = stream.batches(
            images,
            order,
            batch_size=plan.batch_size,
            steps_per_epoch=plan.steps_per_epoch,
            start_step=plan.first,
            stop_step=plan.last,
        )
        self._pieces = stream.prefetch(self._stacked(batches), self._put)

    def take(self, step: int, limit: int) -> Piece:
        """The next steps, of one epoch; they come in their order, so many at a time."""
        del step, limit
        return next(self._pieces)

    def _stacked(self, batches: Iterator[np.ndarray]):
        """Arrays `[most, B, S, S, C]`, the last of an epoch filled up with zeros."""
        step = self._plan.first
        while step < self._plan.last:
            left = self._plan.steps_per_epoch - step % self._plan.steps_per_epoch
            steps = min(self._most, left)
            stacked = np.stack([next(batches) for _ in range(steps)])
            missing = [(0, self._most - steps)] + [(0, 0)] * (stacked.ndim - 1)
            yield np.pad(stacked, missing), steps
            step += steps

    def _put(self, item: tuple[np.ndarray, int]) -> Piece:
        stacked, steps = item
        return Piece(self._devices.split(stacked), self._order, 0, steps)
