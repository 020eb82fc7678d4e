"""Training speed of every method, and how well each uses the machine.

    python benchmarks/methods.py

A method's work is that of `steps.written_work`. Methods with several stages have one
row a stage.
"""

import functools
from collections.abc import Callable

import interleave
import jax
import jax.numpy as jnp
import numpy as np
import steps
from absl import app, flags

from ocjax.data.images import to_float
from ocjax.methods import METHODS, Method
from ocjax.training import loop

ROUNDS = flags.DEFINE_integer("rounds", 5, "Turns of each method.")
SECONDS = flags.DEFINE_float("seconds", 3.0, "Least length of a turn.")
BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Images a step.")
STEPS = flags.DEFINE_integer("steps", 8, "Steps in one compiled call.")
ONLY = flags.DEFINE_list("only", [], "Names of methods, by default all.")
NAME = flags.DEFINE_string("name", "methods", "Of the file with the result.")
BASELINE = "ganomaly"


def candidates(name: str, method: Method) -> dict[str, tuple[Callable, float]]:
    """For each stage a function that trains, and its MFLOP for an image."""
    batch_size, count = BATCH_SIZE.value, STEPS.value
    shape = (count * batch_size, 32, 32, 1)
    images = jnp.asarray(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    order = jnp.arange(count * batch_size).reshape(count, batch_size)
    batch = to_float(images[:batch_size])
    own = jax.random.key_data(jax.random.key(2)), {}, np.array([0, count])
    works = steps.written_work(name, batch_size)
    found = {}
    for i, (stage, work) in enumerate(zip(method.stages, works, strict=True)):
        state = jax.jit(method.init)(jax.random.key(1), batch)
        jitted = jax.jit(functools.partial(loop.run_steps, stage.step))

        def run(state, jitted=jitted):
            return jitted(state, images, order, own, count)[0]

        train = steps.repeated(run, state, count * batch_size)
        stages = f", stage {i + 1}" if len(method.stages) > 1 else ""
        found[name + stages] = train, work / 1e6
    return found


def main(_):
    """Measures, prints and writes the result."""
    names = ONLY.value or list(METHODS)
    found = {}
    for name in [BASELINE, *(n for n in names if n != BASELINE)]:
        config, build = METHODS[name]
        found |= candidates(name, build(config()))
    rates = interleave.interleaved(
        {name: work for name, (work, _) in found.items()},
        rounds=ROUNDS.value,
        seconds=SECONDS.value,
    )
    speed = {
        name: [rate * found[name][1] / 1e3 for rate in row]
        for name, row in rates.items()
    }
    rows = []
    for name, row in rates.items():
        ratio = interleave.ratios(speed[name], speed[BASELINE])
        rows.append(
            {
                "": name,
                "images/s": float(np.median(row)),
                "MFLOP an image": found[name][1],
                "GFLOP/s": float(np.median(speed[name])),
                f"GFLOP/s to {BASELINE}": float(np.median(ratio)),
                "lowest to highest": interleave.span(ratio),
            }
        )
    batches = f"32x32x1, batches of {BATCH_SIZE.value}, float32"
    interleave.write(
        NAME.value,
        "Training step of every method",
        {f"Default configurations, {batches}": rows},
        rates=rates,
        settings={
            "rounds": ROUNDS.value,
            "seconds": SECONDS.value,
            "steps": STEPS.value,
        },
    )


if __name__ == "__main__":
    app.run(main)
