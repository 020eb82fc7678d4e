"""A table of ImageNet's size on 64 accelerators, worked out from measured numbers.

    python benchmarks/extrapolate.py

Nothing here has run at that size. Every number is a product of results in `results/`
and of the sizes below, and `docs/scale.md` is written from them; only the seconds to
judge one run are measured when this runs.
"""

import json
import time
from statistics import median

import interleave
import numpy as np
import processes

from ocjax import _markdown
from ocjax.evaluation import judgement

PAGE = processes.REPOSITORY / "docs" / "scale.md"
BEGIN, END = "<!-- scale: begin -->", "<!-- scale: end -->"

# ImageNet of 2012, the usual side, and a table of three seeds.
CLASSES, TRAINED, SCORED, SIDE, SEEDS = 1000, 1_281_167, 50_000, 224, 3
STEPS, BATCH = 12_000, 64
DEVICES, MACHINES, CORES = 64, 8, 16


def result(name: str, caption: str) -> dict[str, dict]:
    """Rows of a table that was measured, by the value of their first column."""
    found = json.loads((interleave.RESULTS / f"{name}.json").read_text())
    (rows,) = [t for title, t in found["tables"].items() if title.startswith(caption)]
    return {str(next(iter(row.values()))): row for row in rows}


def judging_seconds(rounds: int = 3) -> float:
    """Seconds to judge one run's scores of the test part, all classes as kinds."""
    rng = np.random.default_rng(0)
    kinds = np.arange(SCORED) % CLASSES
    scores, taken = rng.normal(size=SCORED) + (kinds > 0), []
    for _ in range(rounds):
        start = time.perf_counter()
        judgement.judge(kinds > 0, scores, kinds.astype(str), None, None)
        taken.append(time.perf_counter() - start)
    return median(taken)


def rows() -> list[tuple[str, str, str]]:
    """What there is to do, from what it follows, and what it takes."""
    runs = CLASSES * SEEDS
    pixels = TRAINED * SIDE**2 * 3
    sizes = result("scaling", "By height and width")
    growth = sizes["32"]["images/s"] / sizes["128"]["images/s"] * (SIDE / 128) ** 2
    together = "GANomaly, 32x32x1, batches of 64, float32, models: 30"
    training = result("convolutions_gpu", together)["patches"]["images/s"]
    scoring = result("score_gpu", "GANomaly")["ocjax"]["images/s"]
    reading = result("folders", "10,000 jpg")["ocjax"]["images/s"] / 2
    small = runs * STEPS * BATCH / training / DEVICES
    scores = runs * SCORED / scoring / DEVICES
    judging = judging_seconds()
    hours = lambda seconds: f"{seconds / 3600:,.1f} h"
    minutes = lambda seconds: f"{seconds / 60:,.1f} min"
    return [
        (
            f"{runs:,} models trained, {STEPS:,} steps of {BATCH}, 32x32",
            f"{training:,.0f} images/s a device, thirty at once",
            minutes(small),
        ),
        (
            f"the same, {SIDE}x{SIDE}",
            f"an image of that side costs {growth:,.0f} times as much (a CPU)",
            hours(small * growth),
        ),
        (
            f"{SCORED:,} pictures scored by each, 32x32",
            f"{scoring:,.0f} images/s a device",
            minutes(scores),
        ),
        (f"the same, {SIDE}x{SIDE}", "the same factor", hours(scores * growth)),
        (
            f"all pictures decoded, by each of {MACHINES} machines",
            f"{reading:,.0f} pictures/s a core, {CORES} cores (pictures of 128x128)",
            minutes((TRAINED + SCORED) / reading / CORES),
        ),
        (
            f"pixels of the training part, {SIDE}x{SIDE}x3",
            "a byte each",
            f"{pixels / 2**30:,.0f} GiB on each machine",
        ),
        (
            "judging all runs, by process 0",
            f"{judging:.2f} s a run, on a core",
            hours(runs * judging),
        ),
    ]


def main() -> None:
    """Writes the table into the page."""
    table = _markdown.table(["what", "measured", "takes"], rows())
    PAGE.write_text(_markdown.replaced(PAGE.read_text(), BEGIN, END, table))
    print(table)


if __name__ == "__main__":
    main()
