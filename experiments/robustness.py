r"""Robustness of a detector: AUROC against the radius of an attack on it.

    python experiments/robustness.py --run=RUN --data_dir=DIR

Within a ball, scores of normal test images are raised and those of anomalies lowered,
both by an attacker who knows the detector. Radii are for pixels in [0, 1], 8-bit steps
by default. Written to the run folder: `eval/robustness.json` and
`plots/robustness.png`; the JSON is printed as the last line.
"""

import json
from typing import Any

import jax.numpy as jnp
import numpy as np
from absl import flags

from ocjax import attacks, runs
from ocjax._checks import InputError
from ocjax.cli import exits
from ocjax.evaluation import metrics, plots
from ocjax.inference.run_folder import Trained, task_of, trained
from ocjax.runs.display import say
from ocjax.runs.folder import RunFolder

RUN = flags.DEFINE_string("run", None, "Run folder of the detector.", required=True)
DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of its data set.")
RADII = flags.DEFINE_list(
    "radii", [str(n / 255) for n in (0.5, 1, 2, 4, 8, 16)], "Radii of the balls."
)
NORM = flags.DEFINE_enum("norm", "linf", list(attacks.NORMS), "Norm of the balls.")
STEPS = flags.DEFINE_integer(
    "steps", 10, "Number of steps of an attack.", lower_bound=1
)
IMAGES = flags.DEFINE_integer(
    "images", 200, "Largest number of test images of either class.", lower_bound=1
)
CHUNK = 32  # Number of images that are attacked together.


def attack(
    detector: Trained, images: np.ndarray, anomalous: np.ndarray, radius: float
) -> np.ndarray:
    """Attacks images and returns their scores `[N]`.

    Args:
      detector: detector to attack.
      images: floats in [0, 1], `[N, S, S, C]`.
      anomalous: bool `[N]`; scores of anomalies are lowered, others are raised.
      radius: radius of the ball.
    """
    direction = np.where(anomalous, -1.0, 1.0).astype(np.float32)
    padding = [(0, -len(images) % CHUNK)] + [(0, 0)] * 3
    images = np.pad(images, padding)
    direction = np.pad(direction, padding[:1])
    scores = [
        attacks.move_score(
            detector.method.score,
            (detector.state,),
            jnp.asarray(images[start : start + CHUNK]),
            jnp.asarray(direction[start : start + CHUNK]),
            epsilon=radius,
            steps=STEPS.value,
            norm=NORM.value,
        )[1]
        for start in range(0, len(images), CHUNK)
    ]
    return np.concatenate(scores)[: len(anomalous)]


def evaluate(detector: Trained, task: runs.Task) -> dict[str, Any]:
    """Returns AUROCs without an attack and at each radius, for JSON."""
    split, rng = task.split, np.random.default_rng(0)
    classes = [np.flatnonzero(~split.anomalous), np.flatnonzero(split.anomalous)]
    rows = np.concatenate([rng.permutation(rows)[: IMAGES.value] for rows in classes])
    anomalous = split.anomalous[rows]
    images = task.dataset.images[split.test[rows]]
    if images.dtype == np.uint8:
        images = images / np.float32(255)
    else:
        images = (images + 1) / 2
    aurocs = []
    for radius in [0.0, *map(float, RADII.value)]:
        if radius:
            scores = attack(detector, images, anomalous, radius)
        else:
            scores = detector.score(2 * images - 1)
        low, high = metrics.auroc_interval(anomalous, scores)
        auroc = metrics.auroc(anomalous, scores)
        aurocs.append(
            {"radius": radius, "auroc": auroc, "auroc_low": low, "auroc_high": high}
        )
        say(f"{NORM.value} {radius:.4f}: AUROC {auroc:.4f}")
    return {
        "method": detector.known.config.method,
        "dataset": detector.known.config.dataset,
        "norm": NORM.value,
        "steps": STEPS.value,
        "normals": int(np.sum(~anomalous)),
        "anomalies": int(np.sum(anomalous)),
        "radii": aurocs,
    }


def main(_) -> None:
    """Attacks a detector; writes and prints the result."""
    try:
        if min(float(radius) for radius in RADII.value) < 0:
            raise ValueError
    except ValueError:
        raise InputError(
            f"--radii: expected numbers from 0 up, got {RADII.value}."
        ) from None
    detector = trained(RUN.value)
    folder = RunFolder(RUN.value)
    result = evaluate(detector, task_of(detector, DATA_DIR.value))
    folder.write_json("eval/robustness.json", result)
    rows = result["radii"]
    figure = plots.robustness(
        [row["radius"] for row in rows],
        [row["auroc"] for row in rows],
        [(row["auroc_low"], row["auroc_high"]) for row in rows],
        result["norm"],
    )
    folder.write("plots/robustness.png", plots.png(figure))
    print(json.dumps(result))


if __name__ == "__main__":
    exits.start(exits.guarded(main), exits.parse_flags)
