"""Trains on resident and on streamed images, and compares the bits.

Run by `test_loop.py` with the compiler's own settings: those of the tests round the two
programs apart.
"""

from typing import Any

import jax
import numpy as np

from ocjax import training
from ocjax.methods.ganomaly import Config, ganomaly

METHOD = ganomaly(Config(latent=3, features=2))
IMAGES = np.random.default_rng(0).integers(0, 256, (23, 32, 32, 1), np.uint8)
OPTIONS: dict[str, Any] = {"epochs": 3, "batch_size": 5}
MIDDLE = 5  # Step in the middle of an epoch of 4.


def train(**options):
    """Everything that 3 epochs report."""
    return list(training.train(METHOD, IMAGES, jax.random.key(0), **OPTIONS, **options))


def losses(progress):
    """Losses of all steps."""
    return np.concatenate([p.metrics["generator"] for p in progress if p.metrics])


def assert_equal(a, b):
    """Asserts that two trees have the same bits."""
    jax.tree.map(np.testing.assert_array_equal, a, b)


def main():
    """Compares streamed images with resident ones, from the start and from a step."""
    whole, streamed = train(), train(streamed=True)
    assert_equal(streamed[-1].state, whole[-1].state)
    assert_equal(losses(streamed), losses(whole))
    options: dict[str, Any] = OPTIONS | {"seconds_per_call": 0.0}  # A step a call.
    progress = training.train(METHOD, IMAGES, jax.random.key(0), **options)
    middle = next(p.state for p in progress if p.step == MIDDLE)
    rest = train(state=middle, streamed=True)
    assert rest[0].step == MIDDLE
    assert_equal(rest[-1].state, whole[-1].state)
    assert_equal(losses(rest), losses(whole)[MIDDLE:])


if __name__ == "__main__":
    main()
