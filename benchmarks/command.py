"""The `ocjax score` command: pictures a second, seconds to the first, and exports.

    python benchmarks/command.py

Pictures of smooth noise are written as PNG files. The whole command, from its start to
the table on disk, is measured against a process that only decodes them with Pillow, one
after another. Within one process, reading and scoring are measured alone and together,
as the command does both. Then the command is started for a single picture, with
compiled programs in the cache; and the Python scorer is compared with the exported
files.
"""

import pathlib
import tempfile
from collections.abc import Callable
from statistics import median

import interleave
import noise
import numpy as np
import processes
from absl import app, flags

from ocjax import Detector, inference
from ocjax.data import files
from ocjax.inference import onnx, stablehlo

FILES = flags.DEFINE_integer("files", 10_000, "Pictures.")
SIDE = flags.DEFINE_integer("side", 128, "Height and width of the pictures.")
FEATURES = flags.DEFINE_integer("features", 64, "Of the autoencoder; 64 by default.")
IMAGES = flags.DEFINE_integer("images", 1024, "Scored by each form of the model.")
ROUNDS = flags.DEFINE_integer("rounds", 3, "Turns of each candidate.")
NAME = flags.DEFINE_string("name", "command", "Of the file with the result.")

DECODE = """
import pathlib, sys
from PIL import Image
for path in sorted(pathlib.Path(sys.argv[1]).rglob("*.png")):
    with Image.open(path) as image:
        image.convert("RGB").load()
"""


def write_pictures(root: pathlib.Path) -> None:
    """Writes pictures, a thousand to a folder."""
    rng = np.random.default_rng(0)
    for i in range(FILES.value):
        folder = root / str(i // 1000)
        folder.mkdir(parents=True, exist_ok=True)
        noise.smooth(rng, SIDE.value).save(folder / f"{i:05d}.png")


def models(root: pathlib.Path) -> dict[str, pathlib.Path]:
    """An autoencoder, saved and exported."""
    images = np.random.default_rng(0).integers(0, 256, (200, 32, 32, 3), np.uint8)
    detector = Detector(
        "autoencoder",
        hyper={"features": FEATURES.value},
        epochs=1,
        false_positive_rate=0.1,
        random_state=0,
    ).fit(images)
    parts = detector.parts
    return {
        "saved detector": detector.save(root / "detector.ocjax"),
        "StableHLO": stablehlo.save(root / "exported.ocjax", *parts),
        "ONNX": onnx.save(root / "exported.onnx", *parts),
    }


def command(pictures: pathlib.Path, model: pathlib.Path, out: pathlib.Path) -> float:
    """Seconds of `ocjax score`."""
    arguments = ("score", str(pictures), f"--model={model}", f"--out={out}", "--force")
    return processes.run("-m", "ocjax", *arguments).seconds


def parts(scorer: inference.Scorer, pictures: pathlib.Path) -> dict[str, Callable]:
    """Reading alone, scores alone, and both as the command does them."""
    paths, card = [str(p) for p in sorted(pictures.rglob("*.png"))], scorer.card
    read = lambda: files.pieces(paths, card.shape, 1024, card.fit)
    images = np.concatenate([piece.images for piece in read()])
    return {
        "reading": lambda: sum(len(piece.images) for piece in read()),
        "scores": lambda: len(scorer.judge(images).scores),
        "both": lambda: sum(1 for _ in scorer.judge_files(paths)),
    }


def apart_and_together(rates: dict[str, list[float]]) -> interleave.Rows:
    """Rows of `parts`, and the seconds of both beside those of each alone."""
    seconds = {name: 1 / np.array(rate) for name, rate in rates.items()}
    alone = np.stack([seconds["reading"], seconds["scores"]])
    ratios = {"of the sum": alone.sum(0), "of the longer": alone.max(0)}
    rows: list[dict[str, str | float]] = [
        {"": name, "images/s": median(rate), **dict.fromkeys(ratios, "")}
        for name, rate in rates.items()
    ]
    rows[-1] |= {name: spread(seconds["both"] / base) for name, base in ratios.items()}
    return rows


def spread(values) -> str:
    """Median, lowest and highest."""
    return f"{median(values):.2f} ({interleave.span(values)})"


def main(_):
    """Measures, prints and writes the result."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        write_pictures(root / "pictures")
        paths = models(root)
        out, first = root / "scores.csv", root / "pictures" / "0" / "00000.png"
        whole = {"Pillow decoding alone": []} | {name: [] for name in paths}
        single = {name: [] for name in paths}
        for path in paths.values():  # Fills the cache of compiled programs.
            command(first, path, out)
            command(root / "pictures" / "0", path, out)
        for _ in range(ROUNDS.value):
            seconds = processes.run("-c", DECODE, str(root / "pictures")).seconds
            whole["Pillow decoding alone"].append(FILES.value / seconds)
            for name, path in paths.items():
                seconds = command(root / "pictures", path, out)
                whole[name].append(FILES.value / seconds)
                single[name].append(command(first, path, out))
        scorers = {name: inference.open(path) for name, path in paths.items()}
        rng = np.random.default_rng(1)
        images = rng.integers(0, 256, (IMAGES.value, 32, 32, 3), np.uint8)

        def scored(scorer):
            return lambda: len(scorer.score(images))

        rates = interleave.interleaved(
            {name: scored(scorer) for name, scorer in scorers.items()},
            rounds=ROUNDS.value,
            seconds=2.0,
        )
        apart = interleave.interleaved(
            parts(scorers["saved detector"], root / "pictures"),
            rounds=ROUNDS.value,
            seconds=0.1,  # Once.
        )
    tables = {
        f"`ocjax score` on {FILES.value:,} PNG files, from start to end": (
            interleave.compare(whole, baselines=("Pillow decoding alone",))
        ),
        "Reading and scores of the saved detector, and the seconds of both": (
            apart_and_together(apart)
        ),
        "`ocjax score` on one picture, compiled programs in the cache": [
            {"": name, "seconds": median(seconds)} for name, seconds in single.items()
        ],
        f"Scores of {IMAGES.value:,} images in memory": interleave.compare(
            rates, baselines=("saved detector",)
        ),
    }
    interleave.write(
        NAME.value,
        "The command",
        tables,
        rates={"whole": whole, "single": single, "scores": rates, "parts": apart},
        settings={
            "side": SIDE.value,
            "rounds": ROUNDS.value,
            "features": FEATURES.value,
        },
    )


if __name__ == "__main__":
    app.run(main)
