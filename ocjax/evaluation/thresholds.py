"""Thresholds from normal scores alone, with the false-positive rate they promise.

An image is called anomalous when its score is greater than the threshold.
"""

import dataclasses
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ocjax._checks import InputError


class Threshold(NamedTuple):
    """A threshold on scores and what it promises."""

    value: float
    false_positive_rate: float  # Largest rate promised for a fresh normal image.
    normals: int  # Number of held-out normal images that it was made from.


@dataclasses.dataclass(frozen=True)
class Decisions:
    """What a threshold decides of a test set.

    Attributes:
      threshold: score above which an image is called anomalous.
      reached_false_positive_rate: share of the normal images that it calls anomalous,
        in [0, 1].
      reached_low: lower end of the 95 % interval of that share.
      reached_high: upper end of the same.
      anomalies_found: number of anomalies that it calls anomalous.
      false_alarms: number of normal images that it calls anomalous.
    """

    threshold: float
    reached_false_positive_rate: float
    reached_low: float
    reached_high: float
    anomalies_found: int
    false_alarms: int


def from_normals(scores: ArrayLike, false_positive_rate: float) -> Threshold:
    """Split-conformal threshold for a false-positive rate.

    With n normal images that training never saw, it is the k-th smallest score,
    k = ceil((n + 1) (1 - rate)). If a fresh normal image is exchangeable with those,
    its rank among all n + 1 is uniform, so it scores above the k-th with probability
    at most (n + 1 - k) / (n + 1) <= rate, whatever the distribution of scores. The
    probability is over the held-out images too: one threshold may do a little worse.

    Args:
      scores: scores of held-out normal images, finite floats `[N]`. Those of training
        images are too low and break the promise.
      false_positive_rate: rate to promise, in (0, 1).

    Returns:
      Threshold, which is one of the scores.

    Raises:
      ValueError: the scores or the rate are not as above.
      InputError: there are too few scores for the rate.

    References:
      Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005;
      Angelopoulos and Bates, [A gentle introduction to conformal
      prediction](https://arxiv.org/abs/2107.07511), 2021.
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
        fewest = math.ceil(1 / false_positive_rate * (1 - 1e-12)) - 1
        raise InputError(
            f"A false-positive rate of {false_positive_rate:g} needs at least "
            f"{fewest} held-out normal images, got {len(scores)}: hold out more, "
            "or ask for a higher rate."
        )
    value = np.partition(scores, k - 1)[k - 1]
    return Threshold(float(value), false_positive_rate, len(scores))


def nearest(scores: ArrayLike, false_positive_rate: float) -> tuple[Threshold, str]:
    """Threshold for a rate, or for the lowest one that so few images can promise.

    Returns:
      Threshold, with the rate that it promises; and a message about that rate where it
      is not the one asked for, else "".

    Raises:
      ValueError: the scores or the rate are not as `from_normals` takes them.
    """
    count = len(_checked(scores))
    least = 1 / (count + 1)
    if not 0 < false_positive_rate < least:
        return from_normals(scores, false_positive_rate), ""
    return from_normals(scores, least), (
        f"{count} held-out normal images cannot promise a false-positive rate of "
        f"{false_positive_rate:g}, which needs {math.ceil(1 / false_positive_rate) - 1}"
        f": the threshold promises {least:.3g}. Hold out more, or ask for a higher "
        "rate."
    )


def reached(scores: ArrayLike, threshold: Threshold) -> float:
    """Share of normal images that the threshold calls anomalous, in [0, 1].

    Args:
      scores: scores of normal images that the threshold was not made from, `[N]`.
      threshold: threshold that `from_normals` made.

    Raises:
      ValueError: there are no scores, or some are not finite.
    """
    return float(np.mean(_checked(scores) > threshold.value))


def reached_interval(
    scores: ArrayLike, threshold: Threshold, level: float = 0.95
) -> tuple[float, float]:
    """Exact interval of the rate that `reached` estimates.

    Args:
      scores: scores of normal images that the threshold was not made from, `[N]`.
      threshold: threshold that `from_normals` made.
      level: coverage, in (0, 1).

    References:
      Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the
      case of the binomial", 1934.
    """
    from scipy.special import betaincinv  # scipy.stats takes a second to import.

    alarms, tail = _checked(scores) > threshold.value, (1 - level) / 2
    count, above = len(alarms), int(alarms.sum())
    low = betaincinv(above, count - above + 1, tail) if above else 0.0
    high = betaincinv(above + 1, count - above, 1 - tail) if above < count else 1.0
    return float(low), float(high)


def decide(anomalous: ArrayLike, scores: ArrayLike, threshold: Threshold) -> Decisions:
    """What a threshold decides of test images, one or more of them normal.

    Args:
      anomalous: booleans `[N]`.
      scores: finite floats `[N]`.
      threshold: from `from_normals`, of other images.
    """
    anomalous, scores = np.asarray(anomalous), _checked(scores)
    called, normals = scores > threshold.value, scores[~anomalous]
    low, high = reached_interval(normals, threshold)
    return Decisions(
        threshold=threshold.value,
        reached_false_positive_rate=reached(normals, threshold),
        reached_low=low,
        reached_high=high,
        anomalies_found=int(called[anomalous].sum()),
        false_alarms=int(called[~anomalous].sum()),
    )


def p_values(normals: ArrayLike, scores: ArrayLike) -> np.ndarray:
    """Conformal p-values of scores, float64 in (0, 1]: small ones speak of anomalies.

    They are (1 + number of normals that score at least as high) / (n + 1). If a fresh
    normal image is exchangeable with the n held-out ones, its p-value is at most p with
    probability at most p, for every p; calling p <= rate anomalous is the threshold of
    `from_normals`, but for ties.

    Args:
      normals: scores of held-out normal images, finite floats `[n]`, n > 0.
      scores: scores of any images, floats `[N]`.

    Raises:
      ValueError: the normals are not as above.

    References:
      Bates et al., [Testing for outliers with conformal
      p-values](https://arxiv.org/abs/2104.08279), 2023, eq. 2.
    """
    below, count = _below(normals, scores)
    return (1 + count - below) / (count + 1)


def percentiles(normals: ArrayLike, scores: ArrayLike) -> np.ndarray:
    """Share of the held-out normals that score lower, in per cent, float64 `[N]`.

    Args:
      normals: scores of held-out normal images, finite floats `[n]`, n > 0.
      scores: scores of any images, floats `[N]`.

    Raises:
      ValueError: the normals are not as above.
    """
    below, count = _below(normals, scores)
    return 100 * below / count


def _below(normals: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray, int]:
    """Numbers of normals below each score, `[N]`, and number of all normals."""
    normals = np.sort(_checked(normals))
    return np.searchsorted(normals, np.asarray(scores, np.float64)), len(normals)


def _checked(scores: ArrayLike) -> np.ndarray:
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 1 or not len(scores):
        raise ValueError(f"Expected `scores` of shape [N], N > 0, got {scores.shape}.")
    if not np.isfinite(scores).all():
        raise ValueError("Expected `scores` to be finite, got NaN or infinity.")
    return scores
