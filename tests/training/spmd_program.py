"""Trains every method on 1 and 2 devices, one on 4, and prints how far they come apart.

Run by `test_parallel.py` with four host devices and in double precision, where
BatchNorm does not amplify rounding.
"""

import functools
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tiny_methods import MAIN

from ocjax import evaluation
from ocjax.data import images as images_lib
from ocjax.methods import Pass, Stage, pca
from ocjax.modules import axis
from ocjax.training import Devices, Model, ModelDevices, loop, sweep

STEPS, BATCH_SIZE = 10, 16


def train(method, count):
    """Parameters after ten steps of each stage on `count` devices."""
    devices = Devices(jax.local_devices()[:count])
    images = np.random.default_rng(0).uniform(-1, 1, (40, 32, 32, 1))
    order = np.random.default_rng(1).integers(0, 40, (STEPS, BATCH_SIZE))
    state = jax.jit(method.init)(jax.random.key(0), jnp.zeros((1, 32, 32, 1)))
    double = lambda x: x.astype(jnp.float64) if x.dtype == jnp.float32 else x
    state = devices.own([jax.tree.map(double, state)])
    key = jax.random.key_data(jax.random.key(2))
    own = devices.own([(key, {}, np.array([0, STEPS], np.int32))])
    steps = devices.own([np.int32(STEPS)])
    images, order, metrics = devices.copies(images), devices.parts([order]), {}
    for stage in method.stages:
        run = devices.map(functools.partial(loop.run_steps, stage.step))
        state, metrics, _ = run(state, images, order, own, steps)
    (final,), (logged,) = devices.each(state), devices.each(metrics)
    assert final.step == STEPS * len(method.stages)
    return jax.device_get((final.params, final.stats, logged))


def losses(method, count, streamed):
    """The generator's losses of a whole training, in single precision."""
    devices = Devices(jax.local_devices()[:count])
    images = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 1), np.uint8)
    steps = loop.train(
        method,
        images,
        jax.random.key(0),
        epochs=2,
        batch_size=8,
        devices=devices,
        streamed=streamed,
    )
    found = [p.metrics["generator"] for p in steps if p.metrics]
    return np.concatenate(found)


def check_sweeps(method):
    """Models that devices share out end as they do alone; so do scores."""
    images = np.random.default_rng(0).integers(0, 256, (24, 32, 32, 1), np.uint8)
    rows = [np.arange(8 + 4 * i) for i in range(5)]  # Of other sizes.
    sizes: dict[str, Any] = {"epochs": 2, "batch_size": 4}

    def model(i):
        return jax.random.key(i), rows[i]

    alone = []
    for i in range(5):
        key, own = model(i)
        *_, last = loop.train(method, images, key, rows=own, **sizes)
        alone.append(jax.device_get(last.state))
    for width in (1, 2):  # Five models in lanes of four: twice with idle ones.
        devices = ModelDevices(jax.local_devices()[: 4 // width], width=width)
        models = [Model(*model(i)) for i in range(5)]
        found = {}
        for i, progress in sweep(
            lambda: method, images, models, devices=devices, **sizes
        ):
            found[i] = progress
        assert sorted(found) == list(range(5)) and all(p.done for p in found.values())
        for i, progress in found.items():
            assert progress.state.step == alone[i].step == 2 * (2 + i)
            near = lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=2e-3)
            jax.tree.map(near, progress.state.params, alone[i].params)
    state = alone[0]
    expected = jax.jit(method.score)(state, images_lib.to_float(jnp.asarray(images)))
    np.testing.assert_allclose(
        evaluation.score(method, state, images, chunk=2), expected, rtol=1e-4
    )


def check_passes():
    """Passes have the same sums on several devices, which may not divide a batch."""
    images = np.random.default_rng(0).integers(0, 256, (37, 8, 8, 1), np.uint8)
    method = pca.pca(pca.Config(components=5))

    def add(state, sums, x, numbers):
        x, numbers = axis.gather((x, numbers))
        rows = jnp.where(numbers < 0, len(sums["memory"]), numbers)
        return {"memory": sums["memory"].at[rows].set(x, mode="drop")}

    keep = Pass(
        ("memory",),
        start=lambda state, shape, count: {"memory": jnp.zeros((count, *shape))},
        add=add,
        finish=lambda state, sums: state._replace(params=sums),
    )
    remembering = method._replace(stages=(Stage(computed=keep),))
    expected = images_lib.to_float(jnp.asarray(images))
    sizes: dict[str, Any] = {"epochs": 1, "batch_size": 9}
    key, scores = jax.random.key(0), []
    for count in (1, 2, 4):
        for streamed in (False, True):
            devices = Devices(jax.local_devices()[:count])
            options = sizes | {"devices": devices, "streamed": streamed}
            state = loop.fit(remembering, images, key, **options)
            np.testing.assert_allclose(state.params["memory"], expected, atol=1e-6)
            state = loop.fit(method, images, key, **options)
            scores.append(jax.jit(method.score)(jax.device_get(state), expected))
            np.testing.assert_allclose(scores[-1], scores[0], rtol=1e-5)
    devices = Devices(jax.local_devices()[:2])
    halves = [Model(key, np.arange(20)), Model(key, np.arange(20, 37))]
    for i, progress in sweep(
        lambda: remembering, images, halves, devices=devices, **sizes
    ):
        if progress.done:
            memory = progress.state.params["memory"]
            np.testing.assert_allclose(memory, expected[halves[i].rows], atol=1e-6)


def check_axis():
    """What acts across devices does so for each lane of a `vmap` on them, in the order
    of the batch; and lanes on several devices have nothing to do with each other.
    """
    act = lambda x: (axis.index(), axis.mean(x.mean()), axis.shift(x))
    lanes = np.stack([np.arange(8.0), 10 * np.arange(8.0)], 1)
    parts = lanes.reshape(4, 2, 2)
    for mapped in (jax.vmap(act, 1), jax.jit(jax.vmap(act, 1), inline=True)):
        found = jax.pmap(mapped, axis_name=axis.NAME)(parts)
        index, mean, shifted = jax.device_get(found)
        np.testing.assert_array_equal(index, np.arange(4)[:, None].repeat(2, 1))
        np.testing.assert_array_equal(mean, np.tile([3.5, 35], (4, 1)))
        rolled = np.roll(lanes, 1, axis=0).reshape(parts.shape)
        np.testing.assert_array_equal(shifted.swapaxes(1, 2), rolled)
    for width in (1, 2):
        devices = ModelDevices(jax.local_devices()[: 4 // width], width=width)
        alone = devices.map(lambda state, *_: (axis.size(), axis.mean(state)))
        models = [np.float32(i) for i in range(4)]
        found = devices.each(alone(devices.own(models), *[devices.own(models)] * 4))
        np.testing.assert_array_equal(found, [(1, i) for i in range(4)])


def main():
    """Checks whole trainings, then prints the differences after ten steps.

    They are {method: {devices: largest relative difference to one device}}.
    """
    check_axis()
    check_passes()
    build, config = MAIN["ganomaly"]
    method = build(config)  # One object for all, as whoever has trained it has.
    one, two = losses(method, 1, False), losses(method, 2, False)
    streamed = losses(method, 2, True)
    np.testing.assert_allclose(two, one, rtol=1e-3)
    np.testing.assert_array_equal(streamed, two)
    check_sweeps(method)
    jax.config.update("jax_enable_x64", True)
    differences = {}
    for name, (build, config) in MAIN.items():
        method = build(config, dtype=jnp.float64)
        if method.computes:
            continue  # Its passes are compared above.
        one = train(method, 1)
        differences[name] = {}
        for count in (2, 4) if name == "ganomaly" else (2,):
            many = train(method, count)
            far = lambda a, b: float(np.max(np.abs(a - b) / (1e-3 + np.abs(a))))
            apart = jax.tree.map(far, one, many)
            differences[name][count] = max(jax.tree.leaves(apart))
    print(json.dumps(differences))


if __name__ == "__main__":
    main()
