"""Images scored a second by GANomaly: PyTorch against ocjax.

    python benchmarks/score.py

PyTorch is given its best batch size, found first, and tensors that already lie on
the device; its scores stay there. ocjax is measured as it is used, from `uint8`
images on the host to scores on the host, and so is its exported ONNX file, which
onnxruntime runs on the processor and which gives heatmaps too.
"""

import pathlib
import tempfile
from statistics import median

import interleave
import jax
import jax.numpy as jnp
import numpy as np
import torch
import torch_ganomaly
from absl import app, flags

from ocjax import inference
from ocjax.data.images import to_float
from ocjax.evaluation.scoring import score
from ocjax.inference import onnx
from ocjax.methods.ganomaly import Config, ganomaly

ROUNDS = flags.DEFINE_integer("rounds", 7, "Turns of each candidate.")
SECONDS = flags.DEFINE_float("seconds", 3.0, "Least length of a turn.")
IMAGES = flags.DEFINE_integer("images", 2048, "Images to score, a multiple of 1024.")
SIZE = flags.DEFINE_integer("size", 32, "Height and width of the images.")
TF32 = flags.DEFINE_bool("tf32", True, "On a GPU, let both sides use TF32.")
NAME = flags.DEFINE_string("name", "score", "Of the file with the result.")

BATCH_SIZES = (32, 64, 128, 256, 512, 1024)


def torch_candidate(
    score: torch_ganomaly.Scorer, images: torch.Tensor, batch_size: int
):
    """Scores `images` `[N, C, H, W]`, a batch at a time."""

    def work():
        for batch in images.split(batch_size):
            score(batch)
        if images.is_cuda:
            torch.cuda.synchronize()
        return len(images)

    return work


def ocjax_candidates(images: np.ndarray, folder: pathlib.Path):
    """Score `images` `[N, H, W, C]`, uint8, in one call, and by an exported file."""
    method = ganomaly(Config())
    first = to_float(jnp.asarray(images[:64]))
    state = jax.jit(method.init)(jax.random.key(0), first)
    card = inference.Card(
        method="ganomaly",
        trained_on="nothing",
        size=images.shape[1],
        channels=images.shape[3],
        normals=(),
        false_positive_rate=None,
        threshold=None,
        version="",
    )
    exported = inference.open(onnx.save(folder / "model.onnx", card, method, state))
    return {
        "ocjax": lambda: len(score(method, state, images)),
        "ocjax's ONNX file": lambda: len(exported.score(images)),
    }


def main(_):
    """Measures, prints and writes the result."""
    precision = "default" if TF32.value else "highest"
    jax.config.update("jax_default_matmul_precision", precision)
    device = torch_ganomaly.prepare(
        cuda=jax.default_backend() == "gpu",
        tf32=TF32.value,
        threads=interleave.cores(),
    )

    shape = (IMAGES.value, SIZE.value, SIZE.value, 1)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    floats = torch.tensor(images, device=device).permute(0, 3, 1, 2) / 127.5 - 1
    shape = torch_ganomaly.Shape(size=SIZE.value)
    form = torch_ganomaly.AuthorsForm(shape, device=device)
    plain, folded = form.score, form.folded()
    authors = floats.contiguous()
    tuned = floats.contiguous(memory_format=torch.channels_last)

    tried = interleave.interleaved(
        {str(size): torch_candidate(folded, tuned, size) for size in BATCH_SIZES},
        rounds=3,
        seconds=SECONDS.value / 3,
    )
    found = {size: median(rate) for size, rate in tried.items()}
    best = int(max(found, key=found.__getitem__))
    candidates = {
        torch_ganomaly.AUTHORS: torch_candidate(plain, authors, 64),
        torch_ganomaly.TUNED: torch_candidate(folded, tuned, best),
    }
    if torch_ganomaly.has_bfloat16(device):
        half = torch_ganomaly.in_bfloat16(folded)
        candidates[torch_ganomaly.BFLOAT16] = torch_candidate(half, tuned, best)
    with tempfile.TemporaryDirectory() as folder:
        candidates |= ocjax_candidates(images, pathlib.Path(folder))
    rates = interleave.interleaved(
        candidates, rounds=ROUNDS.value, seconds=SECONDS.value
    )
    interleave.write(
        NAME.value,
        "Scoring",
        {
            f"GANomaly, {SIZE.value}x{SIZE.value}x1; the tuned forms fold "
            f"BatchNorm and take batches of {best}, the authors' of 64": (
                interleave.compare(
                    rates, baselines=(torch_ganomaly.AUTHORS, torch_ganomaly.TUNED)
                )
            ),
            f"{torch_ganomaly.TUNED}, at several batch sizes": [
                {"batch": size, "images/s": rate} for size, rate in found.items()
            ],
        },
        rates=rates,
        settings={
            "rounds": ROUNDS.value,
            "seconds": SECONDS.value,
            "images": IMAGES.value,
            "tf32": device == "cuda" and TF32.value,
        },
    )


if __name__ == "__main__":
    app.run(main)
