"""Training steps of GANomaly with each form of convolution, for one model and several.

    python benchmarks/convolutions.py
    python benchmarks/convolutions.py --forms=lax,patches,products   # On a GPU.

"lax" is XLA's own convolution, "patches" one matrix product with all patches,
"products" the form of matrix products that `ocjax.modules.products.choose` names for
each layer. XLA's own is left out on CPU: its gradient takes minutes there. Every turn
is a process of its own, whose convolutions all have the form that its environment
names; it also times a large product, the most that can be hoped for.
"""

import json
import tempfile
from statistics import median

import interleave
import processes
from absl import app, flags

ROUNDS = flags.DEFINE_integer("rounds", 5, "Turns of each candidate.")
SECONDS = flags.DEFINE_float("seconds", 2.0, "Least length of a turn.")
BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Images a step of a model.")
STEPS = flags.DEFINE_integer("steps", 8, "Steps in one compiled call.")
MODELS = flags.DEFINE_list("models", ["1", "10"], "How many at once, under vmap.")
FORMS = flags.DEFINE_list("forms", ["patches", "products"], "Forms; first: baseline.")
TF32 = flags.DEFINE_bool("tf32", True, "On a GPU, let products use TF32.")
NAME = flags.DEFINE_string("name", "convolutions", "Of the file with the result.")
POINT = flags.DEFINE_integer("point", None, "Takes a turn with so many models; JSON.")
SIDE = flags.DEFINE_integer("side", 4096, "Rows and columns of the large product.")


def measure(models: int) -> dict[str, float]:
    """Images a second and GFLOP/s of the large product, in this process."""
    import jax

    precision = "default" if TF32.value else "highest"
    jax.config.update("jax_default_matmul_precision", precision)
    candidates = {"images/s": training(models), "GFLOP/s": large_product(SIDE.value)}
    rates = interleave.interleaved(candidates, rounds=1, seconds=SECONDS.value)
    return {name: rate for name, (rate,) in rates.items()}


def training(models: int):
    """Trains `models` at once, each on the same images."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    import steps

    from ocjax.data.images import to_float
    from ocjax.methods.ganomaly import Config, ganomaly
    from ocjax.training import loop

    method, count, batch_size = ganomaly(Config()), STEPS.value, BATCH_SIZE.value
    shape = (count * batch_size, 32, 32, 1)
    images = jnp.asarray(np.random.default_rng(0).integers(0, 256, shape, np.uint8))
    order = jnp.arange(count * batch_size).reshape(count, batch_size)
    keys = jax.random.split(jax.random.key(0), models)
    course = jnp.tile(jnp.array([0, count]), (models, 1))
    own = jax.vmap(jax.random.key_data)(keys), {}, course
    step = method.stages[0].step

    def train(state, own):
        return loop.run_steps(step, state, images, order, own, count)[0]

    batch = to_float(images[:batch_size])
    state = jax.jit(jax.vmap(method.init, (0, None)))(keys, batch)
    run = jax.jit(jax.vmap(train))
    return steps.repeated(
        lambda state: run(state, own), state, models * count * batch_size
    )


def large_product(side: int):
    """Multiplies two matrices; returns the billions of operations of that."""
    import jax

    a = jax.random.normal(jax.random.key(0), (side, side))
    product = jax.jit(lambda a: a @ a)

    def work():
        jax.block_until_ready(product(a))
        return 2 * side**3 / 1e9

    return work


def turn(models: int, form: str, cache: str) -> dict[str, float]:
    """Measures in a process of its own, which finds its programs in `cache`."""
    finished = processes.run(
        "benchmarks/convolutions.py",
        f"--point={models}",
        *(f"--{flag.name}={flag.value}" for flag in (SECONDS, BATCH_SIZE, STEPS, SIDE)),
        f"--tf32={TF32.value}",
        OCJAX_CONVOLUTIONS=form,
        JAX_COMPILATION_CACHE_DIR=cache,
        JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="0",
    )
    return json.loads(finished.output.splitlines()[-1])


def main(_):
    """Measures, prints and writes the result."""
    if POINT.value:
        print(json.dumps(measure(POINT.value)))
        return
    points = [(int(n), form) for n in MODELS.value for form in FORMS.value]
    turns = {point: [] for point in points}
    with tempfile.TemporaryDirectory() as cache:
        for _ in range(ROUNDS.value):
            for point in points:
                turns[point].append(turn(*point, cache))
    import jax  # Here, so that all of a GPU is left to the processes above.
    import steps

    (work,) = steps.written_work("ganomaly", BATCH_SIZE.value)
    tables, found = {}, {}
    for models in map(int, MODELS.value):
        rates, shares = {}, {}
        for form in FORMS.value:
            ran = turns[models, form]
            rates[form] = [one["images/s"] for one in ran]
            shares[form] = median(
                one["images/s"] * work / 1e9 / one["GFLOP/s"] for one in ran
            )
        part = "of the rate of a large product"
        rows = interleave.compare(rates, baselines=FORMS.value[:1])
        rows = [{**row, part: shares[str(row[""])]} for row in rows]
        batches = f"batches of {BATCH_SIZE.value}, float32"
        tables[f"GANomaly, 32x32x1, {batches}, models: {models}"] = rows
        found[models] = rates
    most = median(one["GFLOP/s"] for ran in turns.values() for one in ran)
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
            "MFLOP an image": round(work / 1e6),
        },
    )


if __name__ == "__main__":
    app.run(main)
