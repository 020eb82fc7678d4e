"""Reading a folder of pictures: files a second, and memory where it is too large.

    python benchmarks/folders.py

Pictures are written first, of smooth noise, as PNG and JPEG files. ocjax reads them
with an empty cache, so that all are decoded; the plain loop opens, converts and resizes
one after another with Pillow. Then a detector is trained and judged on a folder of
which a part fits the memory budget, and on the same with all in memory.
"""

import json
import os
import pathlib
import shutil
import tempfile

import interleave
import noise
import numpy as np
import processes
from absl import app, flags
from PIL import Image

from ocjax import data
from ocjax.data import cache

FILES = flags.DEFINE_integer("files", 10_000, "Pictures of each kind.")
SIDE = flags.DEFINE_integer("side", 128, "Height and width of the pictures.")
SIZE = flags.DEFINE_integer("size", 64, "To which they are resized.")
ROUNDS = flags.DEFINE_integer("rounds", 3, "Turns of each candidate.")
BUDGET = flags.DEFINE_float("budget_mb", 8.0, "Of the run that streams.")
NAME = flags.DEFINE_string("name", "folders", "Of the file with the result.")


def write(root: pathlib.Path, suffix: str) -> None:
    """Writes pictures in the layout that training needs, a tenth of them to test."""
    rng = np.random.default_rng(0)
    for i in range(FILES.value):
        part = ("train/good", "test/good", "test/hole")[(i % 20 == 0) + (i % 40 == 0)]
        (root / part).mkdir(parents=True, exist_ok=True)
        noise.smooth(rng, SIDE.value).save(root / part / f"{i:05d}.{suffix}")


def plain(root: pathlib.Path) -> int:
    """A loop as one writes it."""
    images = []
    for path in sorted(root.rglob("*.*")):
        picture = Image.open(path).convert("RGB")
        picture = picture.resize((SIZE.value, SIZE.value), Image.Resampling.BILINEAR)
        images.append(np.asarray(picture))
    return len(np.stack(images))


def ours(root: pathlib.Path) -> int:
    """As an experiment reads it, the first time."""
    shutil.rmtree(cache.folder() / "datasets", ignore_errors=True)
    return len(data.load("folder", data_dir=root, size=SIZE.value).images)


def trained(root: pathlib.Path, workdir: pathlib.Path, budget: float) -> int:
    """Peak memory in MiB of a short run with a memory budget in MiB."""
    finished = processes.run(
        "experiments/train.py",
        "--config=experiments/autoencoder/magnetic_tile.py",
        "--config.dataset=folder",
        f"--config.image_size={SIZE.value}",
        "--config.epochs=1",
        "--config.hyper.features=4",
        "--config.report=False",
        f"--config.memory_budget_mb={budget}",
        f"--data_dir={root}",
        f"--workdir={workdir}",
    )
    assert json.loads(finished.output.splitlines()[-1])["auroc"] > 0
    return finished.peak


def main(_):
    """Measures, prints and writes the result."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        os.environ["OCJAX_CACHE"] = str(root / "cache")
        tables, rates = {}, {}
        for suffix in ("png", "jpg"):
            write(root / suffix, suffix)
            found = interleave.interleaved(
                {
                    "a plain loop": lambda at=root / suffix: plain(at),
                    "ocjax": lambda at=root / suffix: ours(at),
                },
                rounds=ROUNDS.value,
                seconds=0.1,
            )
            tables[f"{FILES.value:,} {suffix} files"] = interleave.compare(
                found, baselines=("a plain loop",)
            )
            rates[suffix] = found
        pixels = FILES.value * SIZE.value**2 * 3 / 2**20
        tables["peak memory of a run"] = [
            {
                "": name,
                "images, MiB": pixels,
                "budget, MiB": budget,
                "peak, MiB": trained(root / "png", root / f"run{number}", budget),
            }
            for number, (name, budget) in enumerate(
                {"all in memory": 8192.0, "streamed": BUDGET.value}.items()
            )
        ]
    interleave.write(
        NAME.value,
        "Folders of pictures",
        tables,
        rates=rates,
        settings={"side": SIDE.value, "size": SIZE.value, "rounds": ROUNDS.value},
    )


if __name__ == "__main__":
    app.run(main)
