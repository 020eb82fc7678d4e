"""How speed and memory grow with models, batches, images and devices.

    python benchmarks/scaling.py

Every point is a process of its own, which trains GANomaly and tells its median speed
and its largest memory. The rounds go over all points, so that a machine that slows down
is unkind to all; `results/scaling.png` is drawn from the same numbers.
"""

import itertools
import json
import os
import statistics
import time

import interleave
import processes
from absl import app, flags

MODELS = flags.DEFINE_list("models", ["1", "2", "5", "10"], "Under vmap.")
BATCHES = flags.DEFINE_list("batches", ["16", "64", "256"], "Images a step.")
SIZES = flags.DEFINE_list("sizes", ["32", "64", "128"], "Height and width.")
PICTURES = flags.DEFINE_list("pictures", ["256", "1024", "4096"], "Of an epoch.")
DEVICES = flags.DEFINE_list("devices", ["1", "2", "4"], "Forced on a CPU.")
ROUNDS = flags.DEFINE_integer("rounds", 3, "Processes of each point.")
STEPS = flags.DEFINE_integer(
    "steps", 4, "Of each model in an epoch, where pictures do not vary."
)
EPOCHS = flags.DEFINE_integer("epochs", 3, "That are timed in each process.")
NAME = flags.DEFINE_string("name", "scaling", "Of the file with the result.")
POINT = flags.DEFINE_string("point", None, "Measures one point; JSON.")
STANDARD = {
    **{"models": 1, "width": 1, "batch_size": 64, "size": 32, "devices": 1},
    "pictures": 0,  # As many as the steps take.
}


def points() -> dict[str, list[dict[str, int]]]:
    """Table -> its points, which differ from the standard one in one thing."""
    vary = lambda name, values: [STANDARD | {name: int(value)} for value in values]
    after = [STANDARD | {"models": int(m)} for m in MODELS.value if int(m) > 1]
    at_once = [p | {"width": p["models"]} for p in after]
    return {
        "models, one after another": [STANDARD, *after],
        "models, at once under vmap": [STANDARD, *at_once],
        "images a batch": vary("batch_size", BATCHES.value),
        "height and width": vary("size", SIZES.value),
        "pictures of an epoch": vary("pictures", PICTURES.value),
        "devices that share a batch": vary("devices", DEVICES.value),
    }


def measure(point: dict[str, int]) -> float:
    """Images a second of one point, in this process."""
    import jax
    import numpy as np

    from ocjax import training
    from ocjax.methods import METHODS

    count, size, width = point["models"], point["size"], point["width"]
    each = point["pictures"] or STEPS.value * point["batch_size"]
    images = np.random.default_rng(0).integers(
        0, 256, (count * each, size, size, 1), np.uint8
    )
    rows = np.arange(count * each).reshape(count, each)
    local = jax.local_devices()[: point["devices"]]
    devices: training.Devices = (
        training.Devices(local)
        if point["devices"] > 1
        else training.ModelDevices(local, width=width)
    )
    config, build = METHODS["ganomaly"]
    method = build(config())
    models = [training.Model(jax.random.key(i), rows[i]) for i in range(count)]
    rates = []
    # The first epoch is not timed: its first call meets cold memory.
    for _, progress in training.sweep(
        lambda: method,
        images,
        models,
        devices=devices,
        epochs=EPOCHS.value + 1,
        batch_size=point["batch_size"],
    ):
        if progress.epoch and progress.metrics:
            count = progress.count * point["batch_size"] * width
            rates.append(count / progress.seconds)
    return statistics.median(rates)


def run(point: dict[str, int]) -> tuple[float, float]:
    """Images a second, and largest memory in MiB, of a process of its own."""
    flag = f"--xla_force_host_platform_device_count={point['devices']}"
    finished = processes.run(
        "benchmarks/scaling.py",
        f"--point={json.dumps(point)}",
        f"--steps={STEPS.value}",
        f"--epochs={EPOCHS.value}",
        XLA_FLAGS=f"{os.environ.get('XLA_FLAGS', '')} {flag}",
    )
    return float(finished.output.splitlines()[-1]), finished.peak


def draw(found: dict[str, list[dict[str, float]]]) -> None:
    """Writes the picture: speed and memory over what varies."""
    from ocjax.evaluation.plots import style

    figure = style.new_figure(2.6 * len(found), 4.2)
    grid = figure.subplots(2, len(found), squeeze=False)
    for column, (name, rows) in enumerate(found.items()):
        for line, key in enumerate(("images/s", "peak memory, MiB")):
            axes = style.tidy(grid[line][column], key if column == 0 else "")
            place = range(len(rows))
            axes.bar(place, [row[key] for row in rows], color=style.NORMAL)
            axes.set_xticks(place, [str(row[name]) for row in rows])
            axes.set_xlabel(name if line else "")
    (interleave.RESULTS / f"{NAME.value}.png").write_bytes(style.png(figure))


def main(_):
    """Measures, prints, draws and writes the result."""
    if POINT.value:
        print(measure(json.loads(POINT.value)))
        return
    tables, found = points(), {}
    started = time.monotonic()
    unique = {json.dumps(p): p for p in itertools.chain(*tables.values())}
    for _ in range(ROUNDS.value):
        for name, point in unique.items():
            found.setdefault(name, []).append(run(point))
    rows = {}
    for title, own in tables.items():
        varied = max(STANDARD, key=lambda k: len({p[k] for p in own}))
        rows[title] = []
        for point in own:
            rates, peaks = zip(*found[json.dumps(point)], strict=True)
            rows[title].append(
                {
                    title: point[varied],
                    "images/s": statistics.median(rates),
                    "lowest to highest": f"{min(rates):.0f} to {max(rates):.0f}",
                    "peak memory, MiB": statistics.median(peaks),
                }
            )
    draw(rows)
    captions = {f"By {title}": table for title, table in rows.items()}
    interleave.write(
        NAME.value,
        "Scaling",
        captions,
        settings={
            "rounds": ROUNDS.value,
            "steps": STEPS.value,
            "minutes": round((time.monotonic() - started) / 60),
        },
        picture=f"results/{NAME.value}.png",
    )


if __name__ == "__main__":
    app.run(main)
