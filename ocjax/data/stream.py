"""Batches of data that do not fit the memory budget, read ahead by Grain.

The order of the images is given, not Grain's own, and any step is reachable by its
number alone. So there is no iterator state to save: to resume, ask for the batches
from `start_step`; they do not depend on how many threads read them.
"""

import collections
import functools
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

import numpy as np

T = TypeVar("T")
U = TypeVar("U")


class Source(Protocol):
    """Random access to images, as of an array or a memory map."""

    def __getitem__(self, index: int, /) -> np.ndarray:
        """Image `uint8 [H, W, C]` at `index`."""
        ...


def batches(
    source: Source,
    order_of_epoch: Callable[[int], np.ndarray],
    *,
    batch_size: int,
    steps_per_epoch: int,
    start_step: int,
    stop_step: int,
    threads: int = 4,
) -> Iterator[np.ndarray]:
    """Reads the batches of steps `start_step` to `stop_step`, the latter excluded.

    Step s takes the rows `[(s % steps_per_epoch) * batch_size :][:batch_size]` of
    the order of epoch `s // steps_per_epoch`.

    Args:
      source: images to read from.
      order_of_epoch: pure function from the number of an epoch to at least
        `steps_per_epoch * batch_size` indices into `source`; called from the
        reading threads, once an epoch.
      batch_size: images a batch.
      steps_per_epoch: batches an epoch.
      start_step: first step, counted from the start of training.
      stop_step: step before which to end.
      threads: number of batches that are read at the same time, with twice as many
        kept ahead; 0 reads each when it is asked for.

    Yields:
      Batches `uint8 [batch_size, H, W, C]`.

    Raises:
      ValueError: a size or a step is out of range, or an order too short.
    """
    import grain

    if batch_size < 1 or steps_per_epoch < 1 or not 0 <= start_step <= stop_step:
        raise ValueError(
            "Expected positive sizes and 0 <= start_step <= stop_step, got "
            f"{batch_size=}, {steps_per_epoch=}, {start_step=}, {stop_step=}."
        )
    ahead = 2 * threads
    # Steps that are read ahead can reach into this many epochs.
    order = _once(order_of_epoch, ahead // steps_per_epoch + 2)

    def batch(step: int) -> np.ndarray:
        epoch, step_of_epoch = divmod(step, steps_per_epoch)
        start = step_of_epoch * batch_size
        rows = order(epoch)[start : start + batch_size].tolist()
        if len(rows) < batch_size:
            raise ValueError(
                f"The order of epoch {epoch} has {len(order(epoch))} indices, too few "
                f"for {steps_per_epoch} batches of {batch_size}."
            )
        return np.stack([source[row] for row in rows])

    steps = grain.MapDataset.range(start_step, stop_step).map(batch)
    return iter(steps.to_iter_dataset(grain.ReadOptions(threads, ahead)))


def prefetch(items: Iterable[T], put: Callable[[T], U], depth: int = 2) -> Iterator[U]:
    """Yields `put(item)` for each item, called for `depth` items ahead of use.

    With `jax.device_put`, which returns before the copy is done, batches travel to
    the device while it computes.
    """
    queue = collections.deque()
    for item in items:
        queue.append(put(item))
        if len(queue) > depth:
            yield queue.popleft()
    yield from queue


def _once(function: Callable[[int], T], size: int) -> Callable[[int], T]:
    """Remembers `size` values of a function, and computes each in one thread alone."""
    remembered = functools.lru_cache(size)(function)
    lock = threading.Lock()

    def locked(argument: int) -> T:
        with lock:
            return remembered(argument)

    return locked
