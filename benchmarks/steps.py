"""Training steps as the benchmarks count and time them."""

import functools
from collections.abc import Callable

import jax

from ocjax.methods import State
from ocjax.modules import conv


def repeated(run: Callable[[State], State], state: State, images: int):
    """A function that goes on from where it was, waits, and returns `images`.

    Args:
      run: steps, from one state to another.
      state: to begin with.
      images: that `run` trains on.
    """

    def work():
        nonlocal state
        state = jax.block_until_ready(run(state))
        return images

    return work


def written_work(step: Callable, state: State, batch: jax.Array) -> float:
    """Floating-point operations of a step for an image of `batch`.

    As XLA counts them for a CPU after it has merged what is computed twice, with
    convolutions as they are written: what filtering saves is speed, not work. For a GPU
    it does not count what libraries compute.
    """
    own = functools.partial(step)  # JAX keeps the trace of `step` itself for others.
    with conv.forced("lax"), jax.default_device(jax.devices("cpu")[0]):
        like = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), (state, batch)
        )
        written = jax.jit(own).lower(*like, jax.random.key(0))
    return float(written.compile().cost_analysis()["flops"]) / len(batch)
