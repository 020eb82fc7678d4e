"""Ten models of GANomaly in one sweep, against ten single runs after each other.

    python benchmarks/sweep.py

Each model sees its own part of the images. All candidates are compiled beforehand, so
the single runs are charged no compilation. PyTorch trains GANomaly's models one after
another as well.
"""

from collections.abc import Callable

import interleave
import jax
import numpy as np
import torch
import torch_ganomaly
from absl import app, flags

from ocjax import training
from ocjax.methods import METHODS

METHOD = flags.DEFINE_string("method", "ganomaly", "Which method.")
MODELS = flags.DEFINE_integer("models", 10, "How many.")
STEPS = flags.DEFINE_integer("steps", 4, "Of each model in an epoch.")
BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Images a step of a model.")
SIZE = flags.DEFINE_integer("size", 32, "Height and width of the images.")
ROUNDS = flags.DEFINE_integer("rounds", 5, "Turns of each candidate.")
TF32 = flags.DEFINE_bool("tf32", True, "On a GPU, let both sides use TF32.")
NAME = flags.DEFINE_string("name", "sweep", "Of the file with the result.")
BASELINE = "single runs"


def candidates() -> dict[str, Callable[[], int]]:
    """Each trains all models, from their start."""
    config, build = METHODS[METHOD.value]
    method = build(config())
    each, count = STEPS.value * BATCH_SIZE.value, MODELS.value
    shape = (count * each, SIZE.value, SIZE.value, 1)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    rows = np.arange(count * each).reshape(count, each)
    options = {"epochs": 1, "batch_size": BATCH_SIZE.value}
    spans = training.spans(method, each, training.Budget(epochs=1), BATCH_SIZE.value)
    seen = count * spans[-1].end * BATCH_SIZE.value

    def single():
        for i in range(count):
            state = training.fit(
                method, images, jax.random.key(i), rows=rows[i], **options
            )
            jax.block_until_ready(state)
        return seen

    def swept(width):
        devices = training.ModelDevices(width=width)

        def work():
            models = [training.Model(jax.random.key(i), rows[i]) for i in range(count)]
            for _, progress in training.sweep(
                lambda: method, images, models, devices=devices, **options
            ):
                if progress.done:
                    jax.block_until_ready(progress.state)
            return seen

        return work

    return {
        BASELINE: single,
        "sweep, one after another": swept(1),
        "sweep, all at once under vmap": swept(count),
    }


def peers() -> dict[str, Callable[[], int]]:
    """The same by PyTorch, whose steps are alike for every model: one trains on all."""
    device = torch_ganomaly.prepare(
        cuda=jax.default_backend() == "gpu",
        tf32=TF32.value,
        threads=interleave.cores(),
    )
    steps, batch_size, size = STEPS.value, BATCH_SIZE.value, SIZE.value
    shape = (MODELS.value * steps, batch_size, 1, size, size)
    batches = torch.rand(shape, device=device) * 2 - 1
    forms = torch_ganomaly.forms(device)
    return {
        name: torch_ganomaly.stepping(
            forms[name](torch_ganomaly.Shape(size=size), device=device), batches
        )
        for name in forms
        if name != torch_ganomaly.AUTHORS
    }


def main(_):
    """Measures, prints and writes the result."""
    jax.config.update(
        "jax_default_matmul_precision", "default" if TF32.value else "highest"
    )
    found, baselines = candidates(), [BASELINE]
    if METHOD.value == "ganomaly":
        found |= peers()
        baselines.append(torch_ganomaly.TUNED)
    rates = interleave.interleaved(found, rounds=ROUNDS.value, seconds=0.1)
    size, batch_size = SIZE.value, BATCH_SIZE.value
    caption = (
        f"{MODELS.value} models of {METHOD.value}, {size}x{size}x1, batches of "
        f"{batch_size}, {STEPS.value} steps each"
    )
    interleave.write(
        NAME.value,
        "Sweep",
        {caption: interleave.compare(rates, baselines=baselines)},
        rates=rates,
    )


if __name__ == "__main__":
    app.run(main)
