"""Batches of the compiled loop: on the device, or streamed to it.

Both feeds give the same batches, those of a given order of each epoch.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np

from ocjax.data import stream
from ocjax.training.order import Order
from ocjax.training.parallel import Devices

MOST_STEPS = 256  # Steps of a compiled call, with room for indices and metrics.
STREAMED_STEPS = 16  # Steps of a piece of streamed images, with room for batches.


class Course(NamedTuple):
    """Order of the images that one model sees, from the start of a stage."""

    order: Order
    batch_size: int
    steps_per_epoch: int
    first: int  # Step to begin with.
    last: int  # Step to end before.

    def batches(self, step: int, limit: int) -> np.ndarray:
        """Indices `[n, B]` of the next steps, of one epoch and at most `limit`."""
        epoch, first = divmod(step, self.steps_per_epoch)
        steps = min(limit, self.steps_per_epoch - first, self.last - step)
        rows = self.order(epoch).reshape(-1, self.batch_size)
        return rows[first : first + steps]


class Piece(NamedTuple):
    """Input of one compiled call: the first `steps` rows of each lane's order."""

    images: jax.Array
    order: jax.Array
    steps: tuple[int, ...]


class Resident:
    """Keeps all images on the devices; a piece is some steps of each lane's epoch."""

    def __init__(self, images: np.ndarray, courses: Sequence[Course], devices: Devices):
        """Copies the images to the devices."""
        self._images = devices.copies(images)
        self._courses, self._devices = courses, devices

    def take(self, steps: Sequence[int | None], limit: int) -> Piece:
        """Takes up to `limit` steps of each lane from its step on, none where None."""
        limit = min(limit, MOST_STEPS)
        orders, counts = [], []
        for course, step in zip(self._courses, steps, strict=True):
            # All orders have one size, so that one program serves all classes.
            padded = np.zeros((MOST_STEPS, course.batch_size), np.int32)
            orders.append(padded)
            counts.append(0)
            if step is not None:
                rows = course.batches(step, limit)
                padded[: len(rows)], counts[-1] = rows, len(rows)
        return Piece(self._images, self._devices.parts(orders), tuple(counts))


class Streamed:
    """Reads the batches of a few steps at a time, ahead of their use, for one lane."""

    def __init__(self, images: np.ndarray, courses: Sequence[Course], devices: Devices):
        """Begins to read."""
        (self._course,) = courses
        self._devices = devices
        course = self._course
        self._most = min(STREAMED_STEPS, course.steps_per_epoch)
        rows = np.arange(self._most * course.batch_size // devices.sharing)
        self._order = devices.copies(rows.reshape(self._most, -1).astype(np.int32))
        batches = stream.batches(
            images,
            course.order,
            batch_size=course.batch_size,
            steps_per_epoch=course.steps_per_epoch,
            start_step=course.first,
            stop_step=course.last,
        )
        self._pieces = stream.prefetch(self._stacked(batches), self._put)

    def take(self, steps: Sequence[int | None], limit: int) -> Piece:
        """Takes the next steps of one epoch, whatever `steps` and `limit` are."""
        del steps, limit
        return next(self._pieces)

    def _stacked(self, batches: Iterator[np.ndarray]):
        """Yields arrays `[most, B, S, S, C]`; zeros fill up the last of an epoch."""
        step, course = self._course.first, self._course
        while step < course.last:
            left = course.steps_per_epoch - step % course.steps_per_epoch
            steps = min(self._most, left, course.last - step)
            stacked = np.stack([next(batches) for _ in range(steps)])
            missing = [(0, self._most - steps)] + [(0, 0)] * (stacked.ndim - 1)
            yield np.pad(stacked, missing), steps
            step += steps

    def _put(self, item: tuple[np.ndarray, int]) -> Piece:
        stacked, steps = item
        return Piece(self._devices.parts([stacked]), self._order, (steps,))
