"""Counts the floating-point operations of a method's training steps for an image.

    OCJAX_CONVOLUTIONS=lax JAX_PLATFORMS=cpu python benchmarks/work.py

`steps.written_work` starts it, in a process where convolutions are as they are written.
"""

import json

import jax
import jax.numpy as jnp
from absl import app, flags

from ocjax.methods import METHODS

METHOD = flags.DEFINE_string("method", "ganomaly", "Method in its default form.")
BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Images a step.")


def main(_):
    """Prints the operations for an image of each stage, as a JSON list."""
    config, build = METHODS[METHOD.value]
    method, key = build(config()), jax.random.key(0)
    batch = jax.ShapeDtypeStruct((BATCH_SIZE.value, 32, 32, 1), jnp.float32)
    state = jax.eval_shape(method.init, key, batch)
    steps = [jax.jit(stage.step).lower(state, batch, key) for stage in method.stages]
    costs = [step.compile().cost_analysis() for step in steps]
    print(json.dumps([float(cost["flops"]) / BATCH_SIZE.value for cost in costs]))


if __name__ == "__main__":
    app.run(main)
