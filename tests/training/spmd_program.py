"""Trains every method on 1 and 2 devices, one on 4, and prints how far they come apart.

Run by `test_parallel.py` with four host devices and in double precision, where
BatchNorm does not amplify rounding.
"""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
from tiny_methods import MAIN

from ocjax.training import Devices, loop

STEPS, BATCH_SIZE = 10, 16


def train(build, config, count):
    """Parameters after ten steps of each stage on `count` devices."""
    devices = Devices.local(count)
    method = build(config, axis_name=devices.axis_name)
    images = np.random.default_rng(0).uniform(-1, 1, (40, 32, 32, 1))
    order = np.random.default_rng(1).integers(0, 40, (STEPS, BATCH_SIZE))
    state = jax.jit(method.init)(jax.random.key(0), jnp.zeros((1, 32, 32, 1)))
    double = lambda x: x.astype(jnp.float64) if x.dtype == jnp.float32 else x
    state = devices.replicate(jax.tree.map(double, state))
    images, order, metrics = devices.replicate(images), devices.split(order), {}
    for stage in method.stages:
        run = devices.map(
            functools.partial(loop.run_steps, stage.step), (0, 0, 0, None, None, None)
        )
        state, metrics = run(state, images, order, jax.random.key(2), 0, STEPS)
    final = devices.first(state)
    assert final.step == STEPS * len(method.stages)
    return jax.device_get((final.params, final.stats, devices.first(metrics)))


def losses(count, streamed):
    """The generator's losses of a whole training, in single precision."""
    devices = Devices.local(count)
    build, config = MAIN["ganomaly"]
    images = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 1), np.uint8)
    steps = loop.train(
        build(config, axis_name=devices.axis_name),
        images,
        jax.random.key(0),
        epochs=2,
        batch_size=8,
        devices=devices,
        streamed=streamed,
    )
    found = [p.metrics["generator"] for p in steps if p.metrics]
    return np.concatenate(found)


def main():
    """Checks whole trainings, then prints the differences after ten steps.

    They are {method: {devices: largest relative difference to one device}}.
    """
    one, two, streamed = losses(1, False), losses(2, False), losses(2, True)
    np.testing.assert_allclose(two, one, rtol=1e-3)
    np.testing.assert_array_equal(streamed, two)
    jax.config.update("jax_enable_x64", True)
    differences = {}
    for name, (build, config) in MAIN.items():
        one = train(build, config, 1)
        differences[name] = {}
        for count in (2, 4) if name == "ganomaly" else (2,):
            many = train(build, config, count)
            far = lambda a, b: float(np.max(np.abs(a - b) / (1e-3 + np.abs(a))))
            apart = jax.tree.map(far, one, many)
            differences[name][count] = max(jax.tree.leaves(apart))
    print(json.dumps(differences))


if __name__ == "__main__":
    main()
