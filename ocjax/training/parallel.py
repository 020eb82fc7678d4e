"""Devices of training, one or several, of one process or several.

Training takes its steps in lanes, one for each model that trains at the same time. A
train step is written for one device; on several, `modules.axis` acts across them.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ocjax._checks import InputError
from ocjax.modules import axis
from ocjax.training import processes


class Devices:
    """Devices that share each batch of one model, each with the whole state.

    Attributes:
      count: number of devices.
      lanes: number of models that train at the same time: one.
      sharing: number of devices that share a batch.
    """

    lanes = 1
    _axis = axis.NAME

    def __init__(self, devices: Sequence | None = None):
        """Takes `devices`, by default the first local one."""
        self._devices = tuple(devices or jax.local_devices()[:1])
        self.count = self.sharing = len(self._devices)
        # A process gives and gets the rows of its own devices only.
        here = jax.process_index()
        local = [i for i, d in enumerate(self._devices) if d.process_index == here]
        mesh = Mesh(np.array([self._devices[i] for i in local]), (self._axis,))
        self._sharding = NamedSharding(mesh, PartitionSpec(self._axis))
        self._local_rows = slice(local[0], local[-1] + 1)

    def __eq__(self, other) -> bool:
        """Whether both can run the same program."""
        return isinstance(other, Devices) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def map(self, function: Callable) -> Callable:
        """Compiles `function(state, images, order, own, count)` of one lane.

        `copies` or `parts` makes the images, `parts` the order, and `own` makes the
        other arguments and all results.
        """
        if self.count == 1:
            return jax.jit(function)
        return jax.pmap(function, axis_name=self._axis, devices=self._devices)

    def copies(self, tree) -> Any:
        """Gives every device the same tree."""
        if self.count == 1:
            return jax.device_put(tree, self._devices[0])
        stack = lambda x: np.broadcast_to(x, (self.count, *np.shape(x)))
        return self._put(jax.tree.map(stack, tree))

    def own(self, trees: Sequence) -> Any:
        """Gives every lane its own of `trees`."""
        (tree,) = trees
        return self.copies(tree)

    def parts(self, batches: Sequence[np.ndarray]) -> Any:
        """Gives every lane its own batches `[S, B, ...]`, and each device its part.

        B must be a multiple of the number of devices that share it.
        """
        (whole,) = batches
        if self.count == 1:
            return jax.device_put(whole, self._devices[0])
        steps, batch_size, *rest = whole.shape
        parts = whole.reshape(steps, self.count, batch_size // self.count, *rest)
        return self._put(np.moveaxis(parts, 1, 0))

    def each(self, tree) -> list:
        """Values of each lane in a tree that `own` or a mapped function made."""
        if self.count == 1:
            return [tree]
        return [jax.tree.map(lambda x: x.addressable_data(0)[0], tree)]

    def check_batch_size(self, batch_size: int) -> None:
        """Raises `InputError` unless the devices can share a batch equally."""
        if batch_size % self.sharing:
            raise InputError(
                f"`batch_size` (={batch_size}) must be a multiple of the number of "
                f"devices (={self.count})."
            )

    def _put(self, tree) -> Any:
        """Puts row i of every array on device i."""
        rows = jax.tree.map(lambda x: x[self._local_rows], tree)
        return jax.device_put(rows, self._sharding)

    def _key(self) -> tuple:
        return type(self), self._devices, self.lanes


class ModelDevices(Devices):
    """Devices that share out models: each trains `width` of them at once.

    Nothing passes between devices.
    """

    _axis = "models"  # No step acts across an axis of this name.

    def __init__(self, devices: Sequence | None = None, *, width: int = 1):
        """Takes `devices`, by default the first local one."""
        super().__init__(devices)
        self.width, self.lanes = width, width * self.count
        self.sharing = 1

    def map(self, function: Callable) -> Callable:
        """Compiles the function of one lane; lanes of a device have the same images.

        Under `vmap` a loop takes as many turns as its longest lane, and the other lanes
        keep their state meanwhile.
        """
        if self.width > 1:
            function = jax.vmap(function, in_axes=(0, None, 0, 0, 0))
        return super().map(function)

    def own(self, trees: Sequence) -> Any:
        """Gives every lane its own of `trees`."""
        if self.lanes == 1:
            return super().own(trees)
        axes = [size for size in (self.count, self.width) if size > 1]
        join = lambda *xs: np.stack(xs).reshape(*axes, *xs[0].shape)
        joined = jax.tree.map(join, *jax.device_get(list(trees)))
        if self.count > 1:
            return self._put(joined)
        return jax.device_put(joined, self._devices[0])

    def parts(self, batches: Sequence[np.ndarray]) -> Any:
        """Gives every lane its own batches."""
        return self.own(batches)

    def each(self, tree) -> list:
        """Values of each lane; where there are several, on the host."""
        if self.lanes == 1:
            return [tree]
        axes = [self.count > 1, self.width > 1].count(True)
        leaves, structure = jax.tree.flatten(processes.gather(tree))
        lanes = zip(
            *(x.reshape(self.lanes, *x.shape[axes:]) for x in leaves), strict=True
        )
        return [jax.tree.unflatten(structure, lane) for lane in lanes]


def choose_devices(count: int) -> list:
    """Returns the first `count` devices of all processes, or all of them for 0.

    Raises:
      InputError: there are not so many, or some process would have none.
    """
    devices = jax.devices()
    if not 0 <= count <= len(devices):
        raise InputError(f"`devices` (={count}) must be 0 to {len(devices)} here.")
    if jax.process_count() > 1 and count not in (0, len(devices)):
        raise InputError(
            f"`devices` (={count}) must be 0, for all, where several processes work."
        )
    return devices[:count] if count else devices
