"""Warnings of runs that have not learned, each with a remedy.

Most of them need no anomalies. A warning is a sentence with the sign and one with the
remedy.
"""

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from ocjax import data
from ocjax.evaluation.judgement import Judgement
from ocjax.evaluation.metrics import Measures
from ocjax.methods import Method, State

MOST_IMAGES = 256  # Largest number of images that are reconstructed for a measure.
FEWEST_STEPS = 100  # With fewer no method here has learned to reconstruct.
ENOUGH_STEPS = 500  # Number of steps that is advised instead.
FALLING = 0.1  # Part of the largest held-out error, lost in the last third of a run.
FEWEST_LOOKS = 6  # Least number of held-out errors to compare.
# Deviation between reconstructions, as a share of that between their images.
ALIKE = 0.05
SAME_SCORES = 1e-3  # Range of scores, as a share of the largest.


class Reconstruction(NamedTuple):
    """Images beside their reconstructions, as floats in [-1, 1]."""

    pixels: np.ndarray  # Images, float64 [N, S, S, C].
    reconstructed: np.ndarray  # Reconstructions, float64 [N, S, S, C].

    @property
    def errors(self) -> np.ndarray:
        """Mean squared errors per pixel, float64 `[N]`."""
        return np.square(self.pixels - self.reconstructed).mean(axis=(1, 2, 3))

    @property
    def spread(self) -> float:
        """Difference of reconstructions between images, as a share of the images' own.

        1 where they differ as the images do, 0 where all are the same picture. It is a
        ratio of standard deviations; NaN where the images are all alike.
        """
        between = self.pixels.var(axis=0).mean()
        if between == 0:
            return math.nan
        return float(np.sqrt(self.reconstructed.var(axis=0).mean() / between))


def reconstruction(method: Method, state: State, images: np.ndarray) -> Reconstruction:
    """Reconstructs the first `MOST_IMAGES` images.

    Args:
      method: method that reconstructs.
      state: trained state of `method`.
      images: images `[N, S, S, C]`.
    """
    assert method.reconstruct is not None
    images = images[:MOST_IMAGES]
    reconstructed = data.map_images(method.reconstruct, images, arguments=(state,))
    return Reconstruction(_floats(images), reconstructed.astype(np.float64))


def mean_image_error(training: np.ndarray, images: np.ndarray) -> float:
    """Mean squared error per pixel of the mean training image as a reconstruction.

    Args:
      training: training images `[N, S, S, C]`.
      images: images `[M, S, S, C]`; the first `MOST_IMAGES` are compared.
    """
    mean = _floats(training).mean(axis=0)
    return float(np.square(_floats(images[:MOST_IMAGES]) - mean).mean())


def of_training(
    steps: int,
    steps_per_epoch: int | None,
    rows: Sequence[Mapping[str, Any]],
    workdir: str,
) -> list[str]:
    """Warnings of a run that was too short.

    Args:
      steps: number of steps that were taken.
      steps_per_epoch: number of steps in an epoch; None of a run that counts steps.
      rows: logged rows, those with a "held_out_error" among them.
      workdir: run folder, in which a longer run goes on.
    """
    resume = f"with --workdir={shlex.quote(workdir)} the run goes on from here."
    if steps < FEWEST_STEPS:
        enough = f"steps={ENOUGH_STEPS}"
        if steps_per_epoch is not None:
            enough = f"epochs={math.ceil(ENOUGH_STEPS / max(steps_per_epoch, 1))}"
        return [
            f"{steps} steps of training are fewer than any method needs "
            f"({FEWEST_STEPS}). Train longer: set {enough}; {resume}"
        ]
    errors = [row["held_out_error"] for row in rows if "held_out_error" in row]
    if len(errors) < FEWEST_LOOKS:
        return []
    unit = "steps" if steps_per_epoch is None else "epochs"
    third = len(errors) // 3
    before = np.median(errors[-2 * third : -third])
    after = np.median(errors[-third:])
    if before - after <= FALLING * max(errors):
        return []
    return [
        f"The held-out error was still falling, from {before:.3g} to {after:.3g} in "
        f"the last third of training. Train longer: set more {unit}; {resume}"
    ]


def of_reconstructions(spread: float, error: float, mean_image: float) -> list[str]:
    """Warnings of reconstructions that tell nothing of their images.

    Args:
      spread: `Reconstruction.spread` of held-out images.
      error: mean of `Reconstruction.errors` of held-out images.
      mean_image: `mean_image_error` of the same images.
    """
    remedy = "Train longer, or with another learning rate or method."
    if spread < ALIKE:
        return [
            "Reconstructions hardly differ between pictures (their deviation is "
            f"{spread:.1%} of the pictures'): the networks have collapsed. {remedy}"
        ]
    if error >= mean_image:
        return [
            f"Held-out pictures are reconstructed no better (error {error:.3g}) than "
            f"by the mean training picture ({mean_image:.3g}). {remedy}"
        ]
    return []


def of_scores(scores: np.ndarray) -> list[str]:
    """Warnings of scores `[N]` that do not tell pictures apart."""
    if len(scores) < 2 or np.ptp(scores) > SAME_SCORES * np.abs(scores).max():
        return []
    return [
        f"Scores hardly differ between pictures ({scores.min():.4g} to "
        f"{scores.max():.4g}): they tell nothing. Train longer, or with another "
        "learning rate or method."
    ]


def of_judgement(judgement: Judgement) -> list[str]:
    """Warnings of a judgement by test pictures."""
    warnings, measures = [], judgement.measures
    remedy = "Do not rely on this detector: try another method, or larger images."
    if measures is not None and measures.auroc_high < 0.5:
        warnings.append(
            f"Anomalous pictures score lower than good ones (AUROC "
            f"{measures.auroc_low:.3f} to {measures.auroc_high:.3f}). {remedy}"
        )
    elif measures is not None and measures.auroc_low <= 0.5:
        warnings.append(
            "The result is no better than chance: the interval of the AUROC, "
            f"{measures.auroc_low:.3f} to {measures.auroc_high:.3f}, holds 0.5. "
            f"{remedy}"
        )
    promised, decisions = judgement.promised_false_positive_rate, judgement.decisions
    if promised is None or decisions is None:
        return warnings
    if promised < decisions.reached_low:
        warnings.append(
            f"More good pictures are called anomalous, {decisions.reached_low:.1%} to "
            f"{decisions.reached_high:.1%}, than the {promised:.1%} that was "
            "promised. The held-out pictures are few, or unlike those that test: hold "
            "out more, and look whether the good pictures are all good."
        )
    return warnings


def _floats(images: np.ndarray) -> np.ndarray:
    return np.asarray(data.to_float(jnp.asarray(images)), np.float64)


def of_yardsticks(measures: Measures, yardsticks: Mapping[str, float]) -> list[str]:
    """Warnings of a detector that simple scores clearly beat.

    Args:
      measures: measures of the detector.
      yardsticks: AUROCs of simple scores on the same test pictures, by name.
    """
    better = sorted((auroc, name) for name, auroc in yardsticks.items())
    better = [pair for pair in better if pair[0] > measures.auroc_high]
    if not better:
        return []
    named = ", ".join(f"{name} {auroc:.3f}" for auroc, name in reversed(better))
    return [
        f"Simple scores tell these pictures apart better than {measures.auroc:.3f} "
        f"(at most {measures.auroc_high:.3f}): {named}. What was learned is of no use "
        "here: try another method."
    ]
