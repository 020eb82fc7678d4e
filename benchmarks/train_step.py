"""Training steps a second of GANomaly: PyTorch against ocjax.

    python benchmarks/train_step.py

Both sides compute in float32, but for a row of PyTorch in bfloat16, use every core, and
take batches from images that already lie on the device: consecutive slices of a float
tensor for PyTorch; for ocjax random rows of `uint8` images, which its compiled loop
gathers and converts.
"""

import functools

import interleave
import jax
import jax.numpy as jnp
import numpy as np
import steps
import torch
import torch_ganomaly
from absl import app, flags

from ocjax.data.images import to_float
from ocjax.methods.ganomaly import Config, ganomaly
from ocjax.training import loop

ROUNDS = flags.DEFINE_integer("rounds", 7, "Turns of each candidate.")
SECONDS = flags.DEFINE_float("seconds", 3.0, "Least length of a turn.")
BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Images a step.")
SIZE = flags.DEFINE_integer("size", 32, "Height and width of the images.")
STEPS = flags.DEFINE_integer("steps", 8, "Steps before waiting for the device.")
TF32 = flags.DEFINE_bool("tf32", True, "On a GPU, let both sides use TF32.")
NAME = flags.DEFINE_string("name", "train_step", "Of the file with the result.")


def ocjax_candidate(images: np.ndarray, count: int, batch_size: int):
    """Steps `count` times in the compiled loop of training, on resident `images`."""
    method = ganomaly(Config())
    resident = jnp.asarray(images)
    order = jax.random.choice(jax.random.key(0), len(images), (count, batch_size))
    state = jax.jit(method.init)(jax.random.key(1), to_float(resident[:batch_size]))
    run = jax.jit(functools.partial(loop.run_steps, method.stages[0].step))
    own = jax.random.key_data(jax.random.key(2)), {}, np.array([0, count])
    return steps.repeated(
        lambda state: run(state, resident, order, own, count)[0],
        state,
        count * batch_size,
    )


def main(_):
    """Measures, prints and writes the result."""
    precision = "default" if TF32.value else "highest"
    jax.config.update("jax_default_matmul_precision", precision)
    device = torch_ganomaly.prepare(
        cuda=jax.default_backend() == "gpu",
        tf32=TF32.value,
        threads=interleave.cores(),
    )

    count, batch_size, size = STEPS.value, BATCH_SIZE.value, SIZE.value
    shape = (count * batch_size, size, size, 1)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    floats = torch.tensor(images, device=device).permute(0, 3, 1, 2) / 127.5 - 1
    batches = floats.contiguous().unflatten(0, (count, batch_size))

    candidates = {
        name: torch_ganomaly.stepping(
            form(torch_ganomaly.Shape(size=size), device=device), batches
        )
        for name, form in torch_ganomaly.forms(device).items()
    }
    candidates["ocjax"] = ocjax_candidate(images, count, batch_size)
    rates = interleave.interleaved(
        candidates, rounds=ROUNDS.value, seconds=SECONDS.value
    )
    interleave.write(
        NAME.value,
        "Training step",
        {
            f"GANomaly, {size}x{size}x1, batches of {batch_size}": (
                interleave.compare(
                    rates, baselines=(torch_ganomaly.AUTHORS, torch_ganomaly.TUNED)
                )
            )
        },
        rates=rates,
        settings={
            "rounds": ROUNDS.value,
            "seconds": SECONDS.value,
            "steps": count,
            "tf32": device == "cuda" and TF32.value,
        },
    )


if __name__ == "__main__":
    app.run(main)
