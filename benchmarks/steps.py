"""Training steps as the benchmarks count and time them."""

import json
from collections.abc import Callable

import jax
import processes

from ocjax.methods import State


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


def written_work(method: str, batch_size: int) -> list[float]:
    """Floating-point operations for an image, of a step of each stage of a method.

    As XLA counts them for a CPU after it has merged what is computed twice, with
    convolutions as they are written: what filtering saves is speed, not work. For a GPU
    it does not count what libraries compute.

    Args:
      method: name of the method, in its default configuration, on 32x32x1 images.
      batch_size: images of a step.
    """
    finished = processes.run(
        "benchmarks/work.py",
        f"--method={method}",
        f"--batch_size={batch_size}",
        OCJAX_CONVOLUTIONS="lax",
        JAX_PLATFORMS="cpu",
    )
    return json.loads(finished.output.splitlines()[-1])
