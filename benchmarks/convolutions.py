"""Training steps of GANomaly with each form of convolution, for one model and several.

    python benchmarks/convolutions.py

"lax" is XLA's own convolution, "patches" one matrix product with all patches,
"products" the form of matrix products that `ocjax.modules.products.choose` names for
each layer. XLA's own is left out on CPU: its gradient takes minutes there.
"""

import interleave
import jax
import jax.numpy as jnp
import numpy as np
import steps
from absl import app, flags

from ocjax.data.images import to_float
from ocjax.methods import Method
from ocjax.methods.ganomaly import Config, ganomaly
from ocjax.modules import conv
from ocjax.training import loop

ROUNDS = flags.DEFINE_integer("rounds", 5, "Turns of each candidate.")
SECONDS = flags.DEFINE_float("seconds", 2.0, "Least length of a turn.")
BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Images a step of a model.")
STEPS = flags.DEFINE_integer("steps", 8, "Steps in one compiled call.")
MODELS = flags.DEFINE_list("models", ["1", "10"], "How many at once, under vmap.")
TF32 = flags.DEFINE_bool("tf32", True, "On a GPU, let products use TF32.")
NAME = flags.DEFINE_string("name", "convolutions", "Of the file with the result.")


def candidate(method: Method, form: str, models: int):
    """Trains `models` at once, each on the same images."""
    count, batch_size = STEPS.value, BATCH_SIZE.value
    shape = (count * batch_size, 32, 32, 1)
    images = jnp.asarray(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    order = jnp.arange(count * batch_size).reshape(count, batch_size)
    keys = jax.random.split(jax.random.key(0), models)
    own = jax.vmap(jax.random.key_data)(keys), {}
    step = method.stages[0].step

    def train(state, own):
        return loop.run_steps(step, state, images, order, own, count)[0]

    with conv.forced(form):
        batch = to_float(images[:batch_size])
        state = jax.jit(jax.vmap(method.init, (0, None)))(keys, batch)
        run = jax.jit(jax.vmap(train)).lower(state, own).compile()
    return steps.repeated(
        lambda state: run(state, own), state, models * count * batch_size
    )


def product_rate(size: int = 4096) -> float:
    """GFLOP/s of one large matrix product, the most that can be hoped for."""
    a = jax.random.normal(jax.random.key(0), (size, size))
    product = jax.jit(lambda a: a @ a)

    def work():
        jax.block_until_ready(product(a))
        return 1

    rates = interleave.interleaved({"": work}, rounds=3, seconds=SECONDS.value)[""]
    return float(np.median(rates)) * 2 * size**3 / 1e9


def main(_):
    """Measures, prints and writes the result."""
    precision = "default" if TF32.value else "highest"
    jax.config.update("jax_default_matmul_precision", precision)
    forms = ["patches", "products"]
    if jax.default_backend() != "cpu":
        forms = ["lax", *forms]
    method, batch = ganomaly(Config()), jnp.zeros((BATCH_SIZE.value, 32, 32, 1))
    state = jax.eval_shape(method.init, jax.random.key(0), batch)
    work = steps.written_work(method.stages[0].step, state, batch) / 1e9
    most = product_rate()
    tables, found = {}, {}
    for models in map(int, MODELS.value):
        rates = interleave.interleaved(
            {form: candidate(ganomaly(Config()), form, models) for form in forms},
            rounds=ROUNDS.value,
            seconds=SECONDS.value,
        )
        rows = interleave.compare(rates, baselines=forms[:1])
        part = "of the rate of a large product"
        rows = [{**row, part: row["images/s"] * work / most} for row in rows]
        batches = f"batches of {BATCH_SIZE.value}, float32"
        tables[f"GANomaly, 32x32x1, {batches}, models: {models}"] = rows
        found[models] = rates
    interleave.write(
        NAME.value,
        "Forms of convolution",
        tables,
        rates=found,
        settings={
            "rounds": ROUNDS.value,
            "seconds": SECONDS.value,
            "tf32": jax.default_backend() == "gpu" and TF32.value,
            "a large product, GFLOP/s": round(most),
            "MFLOP an image": round(1e3 * work),
        },
    )


if __name__ == "__main__":
    app.run(main)
