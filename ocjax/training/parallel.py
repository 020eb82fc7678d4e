"""One device or several: the only file that knows.

A train step is written for one device and an optional mapped axis over which it
averages. On several devices `jax.pmap` runs it, each device holding the whole state
and its part of every batch.
"""

from collections.abc import Callable, Sequence

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ocjax._checks import InputError

AXIS = "batch"


class Devices:
    """Local devices that share each batch.

    Attributes:
      axis_name: what to build a method with: `"batch"`, or None for one device.
      count: how many devices there are.
    """

    def __init__(self, devices: Sequence | None = None):
        """Takes `devices`, by default the first local one."""
        self._devices = list(devices or jax.local_devices()[:1])
        self.count = len(self._devices)
        self.axis_name = AXIS if self.count > 1 else None
        mesh = Mesh(np.array(self._devices), (AXIS,))
        self._sharding = NamedSharding(mesh, PartitionSpec(AXIS))

    @staticmethod
    def local(count: int) -> "Devices":
        """The first `count` local devices, or all of them for 0."""
        found = jax.local_devices()
        if not 0 <= count <= len(found):
            raise InputError(f"`devices` (={count}) must be 0 to {len(found)} here.")
        return Devices(found[:count] if count else found)

    def map(self, function: Callable, in_axes: tuple) -> Callable:
        """Compiles `function` for the devices.

        Args:
          function: of arrays as one device sees them.
          in_axes: for each argument 0 if it was made by `replicate` or `split`, None
            if it is the same small value everywhere.

        Returns:
          A function of such arguments; its results are as if made by `replicate`.
        """
        if self.count == 1:
            return jax.jit(function)
        return jax.pmap(
            function, axis_name=AXIS, in_axes=in_axes, devices=self._devices
        )

    def replicate(self, tree):
        """Gives every device a copy."""
        if self.count == 1:
            return jax.device_put(tree, self._devices[0])
        stack = lambda x: np.broadcast_to(x, (self.count, *np.shape(x)))
        return jax.device_put(jax.tree.map(stack, tree), self._sharding)

    def split(self, batches: np.ndarray) -> jax.Array:
        """Gives every device its part of each batch.

        Args:
          batches: shape `[S, B, ...]`; B must be a multiple of the device count.

        Returns:
          An array of which every device sees `[S, B / count, ...]`.
        """
        if self.count == 1:
            return jax.device_put(batches, self._devices[0])
        steps, batch_size, *rest = batches.shape
        parts = batches.reshape(steps, self.count, batch_size // self.count, *rest)
        return jax.device_put(np.moveaxis(parts, 1, 0), self._sharding)

    def first(self, tree):
        """The first device's copy of what `replicate` or a mapped function made."""
        if self.count == 1:
            return tree
        return jax.tree.map(lambda x: x.addressable_data(0)[0], tree)

    def check_batch_size(self, batch_size: int) -> None:
        """Raises `InputError` unless the devices can share a batch equally."""
        if batch_size % self.count:
            raise InputError(
                f"`batch_size` (={batch_size}) must be a multiple of the number of "
                f"devices (={self.count})."
            )
