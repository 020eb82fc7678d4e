"""Thresholds from normal scores alone, with the false-positive rate they promise.

An image is called anomalous when its score is greater than the threshold.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ocjax._checks import InputError


class Threshold(NamedTuple):
    """A threshold on scores and what it promises."""

    value: float
    false_positive_rate: float  # At most this, for a fresh normal image.
    normals: int  # How many held-out normal images it was made from.


def from_normals(scores: ArrayLike, false_positive_rate: float) -> Threshold:
    """The split-conformal threshold for a false-positive rate.

    With n normal images that training never saw, it is the k-th smallest score,
    k = ceil((n + 1) (1 - rate)). If a fresh normal image is exchangeable with those,
    its rank among all n + 1 is uniform, so it scores above the k-th with probability
    at most (n + 1 - k) / (n + 1) <= rate, whatever the distribution of scores. The
    probability is over the held-out images too: one threshold may do a little worse.

    Args:
      scores: of held-out normal images, finite floats `[N]`. Scores of training
        images are too low and break the promise.
      false_positive_rate: in (0, 1).

    Returns:
      The threshold; it is one of the scores.

    Raises:
      ValueError: if the scores or the rate are not as above.
      InputError: if there are too few scores for the rate.

    References:
      Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005;
      Angelopoulos and Bates, `A gentle introduction to conformal prediction
      <https://arxiv.org/abs/2107.07511>`_, 2021.
    """
    scores = _checked(scores)
    if not 0 < false_positive_rate < 1:
        raise ValueError(
            "Expected `false_positive_rate` to be in (0, 1), "
            f"got {false_positive_rate}."
        )
    # Without the last factor 100 * (1 - 0.41) = 59.00000000000001 would count as 60.
    k = math.ceil((len(scores) + 1) * (1 - false_positive_rate) * (1 - 1e-12))
    if k > len(scores):
        needed = math.ceil(1 / false_positive_rate * (1 - 1e-12)) - 1
        raise InputError(
            f"A false-positive rate of {false_positive_rate:g} needs at least "
            f"{needed} held-out normal images, got {len(scores)}: hold out more, "
            "or ask for a higher rate."
        )
    value = np.partition(scores, k - 1)[k - 1]
    return Threshold(float(value), false_positive_rate, len(scores))


def reached(scores: ArrayLike, threshold: Threshold) -> float:
    """The share of normal images that the threshold calls anomalous, in [0, 1].

    Args:
      scores: of normal images that made no part of the threshold, `[N]`.
      threshold: from `from_normals`.

    Raises:
      ValueError: if there are no scores, or some are not finite.
    """
    return float(np.mean(_checked(scores) > threshold.value))


def _checked(scores: ArrayLike) -> np.ndarray:
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 1 or not len(scores):
        raise ValueError(f"Expected `scores` of shape [N], N > 0, got {scores.shape}.")
    if not np.isfinite(scores).all():
        raise ValueError("Expected `scores` to be finite, got NaN or infinity.")
    return scores
