"""Passes: computations from all training images, without descent.

The sums of a pass travel in the state, the same on all devices, so that a pass is
saved and goes on as steps do.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from ocjax.data import images as images_lib
from ocjax.methods.base import Method, Pass, State
from ocjax.modules import axis
from ocjax.training import processes
from ocjax.training.parallel import Devices


def check(method: Method, state: State, shape: tuple[int, ...], count: int) -> None:
    """Raises the errors of the first pass of a method about images it cannot take.

    Args:
      method: method, with or without a pass.
      state: first state, or its shapes.
      shape: shape (S, S, C) of a training image.
      count: number of training images.
    """
    computed = next((s.computed for s in method.stages if s.computed), None)
    if computed is not None:  # A later one may need what this one computes.
        jax.eval_shape(lambda state: computed.start(state, shape, count), state)


def begin(computed: Pass, state: State, shape: tuple[int, ...], count: int) -> State:
    """State before the first image of a pass; arguments are those of `check`."""
    return state._replace(sums=computed.start(state, shape, count))


def finish(computed: Pass, state: State) -> State:
    """State after a pass, without its sums; process 0's for all processes."""
    sums, state = jax.device_get(state.sums), state._replace(sums={})
    state = computed.finish(state, sums)
    mappings = {"params": state.params, "stats": state.stats}
    state = state._replace(**processes.share_mappings(mappings))
    return jax.tree.map(jnp.asarray, state)


def is_finite(tree) -> bool:
    """Whether all arrays of a tree are finite."""
    return all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(tree))


@functools.lru_cache(8)
def program(computed: Pass, devices: Devices) -> Callable:
    """Compiled loop of a pass."""
    return devices.map(functools.partial(run_pass, computed.add))


def run_pass(
    add: Callable,
    state: State,
    images: jax.Array,
    order: jax.Array,
    own: jax.Array,
    count: jax.Array,
) -> tuple[State, dict[str, jax.Array], jax.Array]:
    """Adds `count` batches to the sums of a pass.

    Args:
      add: `add` of the pass.
      state: state before the batches, with the sums so far.
      images: images `[..., S, S, C]`, leading axes taken as one.
      order: indices of the images of each batch, this device's part, `[steps, B]`.
      own: step that the pass began with, the number of training images, and how
        many of them make a batch over all devices, before these are filled up.
      count: number of batches to add.

    Returns:
      State after them; no metrics; and whether all sums are finite.
    """
    images = images.reshape(-1, *images.shape[-3:])  # Streamed: `[steps, B, ...]`.
    begun_at, total, batch_size = own
    part = order.shape[1]
    places = axis.index() * part + jnp.arange(part, dtype=jnp.int32)

    def body(i, state):
        numbers = (state.step - begun_at) * batch_size + places
        counts = (places < batch_size) & (numbers < total)
        batch = images_lib.to_float(images[order[i]])
        sums = add(state, state.sums, batch, jnp.where(counts, numbers, -1))
        return state._replace(sums=sums, step=state.step + 1)

    state = jax.lax.fori_loop(0, count, body, state)
    finite = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(state.sums)]
    return state, {}, jnp.array(finite, bool).all()
