"""Measures of how well scores separate the anomalous from the normal.

Every function takes `anomalous`, booleans `[N]` that are true for anomalies, and
`scores`, finite floats `[N]`, larger where more anomalous. An image is called
anomalous when its score is greater than a threshold. All raise `TypeError` for
labels that are not booleans, and `ValueError` for arrays of other shapes, a class
without images, or scores that are not finite.

Scores enter raw: scaling them to the test set would change no metric of ranks and
would let the test set choose everything else.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

_DRAWN = 1 << 16  # Largest number of scores that bootstrap resamples hold at once.


class EqualError(NamedTuple):
    """Error rate where misses and false alarms are closest, and its threshold."""

    rate: float
    threshold: float


class Interval(NamedTuple):
    """The two ends of a confidence interval."""

    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Measures:
    """How well scores part the two classes of a test set; shares in [0, 1].

    Attributes:
      auroc: area under the ROC curve; 0.5 is chance.
      auroc_low: lower end of its 95 % interval, over the choice of test images.
      auroc_high: upper end of the same.
      average_precision: precision averaged over recall; chance is the share of
        anomalies.
      fpr_at_95_tpr: false-positive rate at which 95 % of anomalies are found.
      equal_error_rate: rate at which misses and false alarms are equal.
      best_f1_oracle: F1 at the threshold that labels say is best.
    """

    auroc: float
    auroc_low: float
    auroc_high: float
    average_precision: float
    fpr_at_95_tpr: float
    equal_error_rate: float
    best_f1_oracle: float


@dataclasses.dataclass(frozen=True)
class Kind:
    """How well one kind of anomaly is told from all normal test images.

    Attributes:
      auroc: area under the ROC curve, in [0, 1].
      auroc_low: lower end of its 95 % interval.
      auroc_high: upper end of the same.
      anomalies: number of test images of this kind.
    """

    auroc: float
    auroc_low: float
    auroc_high: float
    anomalies: int


@dataclasses.dataclass(frozen=True)
class Localization:
    """How well heatmaps find what masks mark; shares in [0, 1].

    Attributes:
      pixel_auroc: AUROC over the pixels of all test images.
      per_region_overlap: area under the curve of per-region overlap, up to a
        false-positive rate of 30 %.
    """

    pixel_auroc: float
    per_region_overlap: float


def auroc(anomalous: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve, in [0, 1].

    It is the probability that an anomaly scores higher than a normal image, ties
    counted half (Mann and Whitney, 1947).
    """
    normals, anomalies = _by_class(anomalous, scores)
    below = np.searchsorted(normals, anomalies, side="left")
    not_above = np.searchsorted(normals, anomalies, side="right")
    wins = int(below.sum()) + int(not_above.sum())  # Twice, so that they are whole.
    return wins / (2 * len(normals) * len(anomalies))


def average_precision(anomalous: ArrayLike, scores: ArrayLike) -> float:
    """Precision averaged over recall, without interpolation, in (0, 1].

    Chance is the share of anomalies, so values compare only between test sets of
    one composition.
    """
    normals, anomalies = _by_class(anomalous, scores)
    thresholds = np.unique(anomalies)[::-1]
    hits = len(anomalies) - np.searchsorted(anomalies, thresholds, side="left")
    alarms = len(normals) - np.searchsorted(normals, thresholds, side="left")
    found = np.diff(hits, prepend=0)
    return float((found * (hits / (hits + alarms))).sum() / len(anomalies))


def roc_curve(anomalous: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """False-positive and true-positive rates of all decision rules, both `[K]`.

    They rise from 0 to 1, and the line through them bounds `auroc`.
    """
    normals, anomalies = _by_class(anomalous, scores)
    missed, alarms = _errors(normals, anomalies, _midpoints(normals, anomalies)[::-1])
    return alarms / len(normals), 1 - missed / len(anomalies)


def fpr_at_tpr(anomalous: ArrayLike, scores: ArrayLike, tpr: float = 0.95) -> float:
    """Lowest false-positive rate at which at least `tpr` of anomalies are found.

    Raises:
      ValueError: `tpr` is outside [0, 1].
    """
    if not 0 <= tpr <= 1:
        raise ValueError(f"Expected `tpr` to be in [0, 1], got {tpr}.")
    normals, anomalies = _by_class(anomalous, scores)
    missed, alarms = _errors(normals, anomalies, _midpoints(normals, anomalies))
    true_positive_rates = (len(anomalies) - missed) / len(anomalies)
    return float(alarms[true_positive_rates >= tpr].min() / len(normals))


def equal_error_rate(anomalous: ArrayLike, scores: ArrayLike) -> EqualError:
    """Error rate where misses and false alarms are closest, and its threshold.

    All mid-points between neighbouring scores are tried, and a threshold beyond
    either end; of equally good ones the lowest is taken. `rate` is the mean of the
    two error rates there.
    """
    normals, anomalies = _by_class(anomalous, scores)
    thresholds = _midpoints(normals, anomalies)
    missed, alarms = _errors(normals, anomalies, thresholds)
    # Rates are compared in whole numbers, times both counts, so that ties are ties.
    best = np.argmin(np.abs(missed * len(normals) - alarms * len(anomalies)))
    rate = (missed[best] / len(anomalies) + alarms[best] / len(normals)) / 2
    return EqualError(float(rate), float(thresholds[best]))


def half_total_error_rate(
    anomalous: ArrayLike, scores: ArrayLike, threshold: float
) -> float:
    """Mean of the miss and false-alarm rates at a threshold chosen elsewhere.

    The usual choice is the equal-error threshold of a development set,
    `equal_error_rate(dev_anomalous, dev_scores).threshold`. Taken from the test set
    itself it would be a leak.

    References:
      Bengio and Mariethoz, "A statistical significance test for person
      authentication", 2004.
    """
    normals, anomalies = _by_class(anomalous, scores)
    missed, alarms = _errors(normals, anomalies, np.asarray(threshold))
    return float((missed / len(anomalies) + alarms / len(normals)) / 2)


def best_f1(anomalous: ArrayLike, scores: ArrayLike) -> float:
    """Highest F1 that any threshold reaches, anomalies being the positives.

    It is an oracle: labels choose the threshold, so no detector in use attains it.
    """
    normals, anomalies = _by_class(anomalous, scores)
    missed, alarms = _errors(normals, anomalies, _midpoints(normals, anomalies))
    hits = len(anomalies) - missed
    return float((2 * hits / (hits + alarms + len(anomalies))).max())


def auroc_interval(
    anomalous: ArrayLike,
    scores: ArrayLike,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap interval of the AUROC.

    Normal and anomalous images are resampled separately, so every resample has the
    counts of the test set. The interval is about the choice of test images only, not
    about training again; where the classes are perfectly separated it is [1, 1],
    however few the images.

    Args:
      anomalous: booleans `[N]`.
      scores: finite floats `[N]`.
      level: coverage, in (0, 1).
      resamples: number of bootstrap resamples.
      seed: seed of the resampling.

    Returns:
      Interval of the middle `level` of the resampled values.

    Raises:
      ValueError: `level` is outside (0, 1), or `resamples` below 1.

    References:
      Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.
    """
    if not 0 < level < 1:
        raise ValueError(f"Expected `level` to be in (0, 1), got {level}.")
    if resamples < 1:
        raise ValueError(f"Expected `resamples` to be at least 1, got {resamples}.")
    normals, anomalies = _by_class(anomalous, scores)
    (aurocs,) = _resampled(normals, [anomalies], resamples, seed)
    return _middle(aurocs, level)


def _middle(aurocs: np.ndarray, level: float = 0.95) -> Interval:
    low, high = np.quantile(aurocs, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def _resampled(
    normals: np.ndarray,
    kinds: Sequence[np.ndarray],
    resamples: int = 2000,
    seed: int = 0,
) -> np.ndarray:
    """AUROCs `[K, resamples]` of resamples of each kind, against those of all normals.

    Args:
      normals: scores `[N]` of normal images, resampled once for all kinds.
      kinds: scores of the anomalies of each kind.
      resamples: number of bootstrap resamples.
      seed: seed of the resampling.
    """
    values, ranks = np.unique(np.concatenate([normals, *kinds]), return_inverse=True)
    normal_ranks, anomaly_ranks = np.split(ranks, [len(normals)])
    # Kinds lie one after another; there may be a thousand small ones.
    sizes = np.array([len(own) for own in kinds])
    starts = np.cumsum(sizes) - sizes
    sizes_each, starts_each = np.repeat(sizes, sizes), np.repeat(starts, sizes)
    rng = np.random.default_rng(seed)
    aurocs = np.empty((len(kinds), resamples))
    most = max(1, _DRAWN // len(ranks))
    # Counting by rank needs no sorting, so each resample is linear in the images.
    for start in range(0, resamples, most):
        rows = np.arange(min(most, resamples - start))[:, None]
        drawn = normal_ranks[rng.integers(len(normals), size=(len(rows), len(normals)))]
        counts = np.bincount(
            (drawn + rows * len(values)).ravel(), minlength=len(rows) * len(values)
        ).reshape(len(rows), -1)
        # Normals below each value, ties half.
        below = np.cumsum(counts, axis=1) - counts / 2
        places = rng.random((len(rows), len(anomaly_ranks))) * sizes_each
        drawn = anomaly_ranks[starts_each + places.astype(np.intp)]
        sums = np.add.reduceat(below[rows, drawn], starts, axis=1)
        aurocs[:, start : start + len(rows)] = (sums / sizes / len(normals)).T
    return aurocs


def measures(anomalous: ArrayLike, scores: ArrayLike) -> Measures:
    """All of the above that need nothing but the test set."""
    low, high = auroc_interval(anomalous, scores)
    return Measures(
        auroc=auroc(anomalous, scores),
        auroc_low=low,
        auroc_high=high,
        average_precision=average_precision(anomalous, scores),
        fpr_at_95_tpr=fpr_at_tpr(anomalous, scores),
        equal_error_rate=equal_error_rate(anomalous, scores).rate,
        best_f1_oracle=best_f1(anomalous, scores),
    )


def by_kind(
    anomalous: ArrayLike, scores: ArrayLike, kinds: ArrayLike
) -> dict[str, Kind]:
    """How well each kind of anomaly is told from the normal images.

    Args:
      anomalous: booleans `[N]`.
      scores: finite floats `[N]`.
      kinds: names `[N]`; those of normal images are not used.

    Returns:
      Kind -> what is measured of it; none where no image is anomalous.
    """
    anomalous, scores = _checked(anomalous, scores)
    kinds, measured = np.asarray(kinds), {}
    names = np.unique(kinds[anomalous])
    if not len(names):
        return {}
    normals = scores[~anomalous]
    members = [scores[anomalous & (kinds == name)] for name in names]
    aurocs = _resampled(normals, members)
    for name, own, resampled in zip(names, members, aurocs, strict=True):
        both = np.repeat([False, True], [len(normals), len(own)])
        area = auroc(both, np.concatenate([normals, own]))
        measured[str(name)] = Kind(area, *_middle(resampled), len(own))
    return measured


def pixel_auroc(masks: ArrayLike, heatmaps: ArrayLike) -> float:
    """AUROC over the pixels of all images, in [0, 1].

    Args:
      masks: booleans `[N, H, W]`, True where an anomaly is.
      heatmaps: finite floats `[N, H, W]`, larger where more anomalous.

    Raises:
      TypeError: `masks` are not booleans.
      ValueError: shapes differ, or all pixels are of one class.
    """
    return auroc(np.ravel(masks), _maps(masks, heatmaps).ravel())


def per_region_overlap(
    masks: ArrayLike, heatmaps: ArrayLike, limit: float = 0.3
) -> float:
    """Area under the curve of per-region overlap (PRO), in [0, 1].

    The overlap is the share of a defect's pixels above a threshold, averaged over the
    defects (8-connected regions of the masks), so that small ones count as much as
    large ones. It is drawn against the share of defect-free pixels above the
    threshold, over all thresholds, and the area up to `limit` is divided by it.

    Args:
      masks: booleans `[N, H, W]`, True where an anomaly is.
      heatmaps: finite floats `[N, H, W]`, larger where more anomalous.
      limit: largest false-positive rate, in (0, 1].

    Raises:
      TypeError: `masks` are not booleans.
      ValueError: shapes differ, all pixels are of one class, or `limit` is no rate.

    References:
      Bergmann et al., "The MVTec Anomaly Detection Dataset", 2021, section 5.2.
    """
    from scipy import ndimage

    if not 0 < limit <= 1:
        raise ValueError(f"Expected `limit` to be in (0, 1], got {limit}.")
    maps, masks = _maps(masks, heatmaps), np.asarray(masks)
    _checked(masks.ravel(), maps.ravel())
    # Each pixel adds a share to the overlap when the threshold falls below it.
    shares, regions = np.zeros(masks.shape), 0
    for mask, image_shares in zip(masks, shares, strict=True):
        labelled: Any = ndimage.label(mask, np.ones((3, 3)))
        labels, count = labelled
        sizes = np.bincount(labels.ravel(), minlength=count + 1)
        image_shares[mask] = 1 / sizes[labels[mask]]
        regions += count
    order = np.argsort(-maps, axis=None, kind="stable")
    values = maps.ravel()[order]
    last = np.append(values[1:] != values[:-1], True)  # Last of each run of equals.
    overlap = np.cumsum(shares.ravel()[order])[last] / regions
    alarms = np.cumsum(~masks.ravel()[order])[last] / np.sum(~masks)
    alarms, overlap = np.append(0, alarms), np.append(0, overlap)
    at_limit = np.interp(limit, alarms, overlap)
    within = alarms < limit
    alarms = np.append(alarms[within], limit)
    overlap = np.append(overlap[within], at_limit)
    return float(np.trapezoid(overlap, alarms) / limit)


def localization(masks: ArrayLike, heatmaps: ArrayLike) -> Localization | None:
    """Both of the above; None where the masks mark nothing."""
    if not np.any(masks):
        return None
    return Localization(
        pixel_auroc=pixel_auroc(masks, heatmaps),
        per_region_overlap=per_region_overlap(masks, heatmaps),
    )


def _maps(masks: ArrayLike, heatmaps: ArrayLike) -> np.ndarray:
    maps = np.asarray(heatmaps, np.float64)
    if maps.ndim != 3 or np.shape(masks) != maps.shape:
        raise ValueError(
            "Expected `masks` and `heatmaps` to have one shape [N, H, W], "
            f"got {np.shape(masks)} and {maps.shape}."
        )
    return maps


def _checked(anomalous: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    anomalous, scores = np.asarray(anomalous), np.asarray(scores, np.float64)
    if anomalous.dtype != bool:
        raise TypeError(f"Expected `anomalous` to be boolean, got {anomalous.dtype}.")
    if anomalous.ndim != 1 or anomalous.shape != scores.shape:
        raise ValueError(
            "Expected `anomalous` and `scores` to have one shape [N], "
            f"got {anomalous.shape} and {scores.shape}."
        )
    if anomalous.all() or not anomalous.any():
        raise ValueError(
            "Expected `anomalous` to hold both classes, "
            f"got {np.sum(~anomalous)} normal and {np.sum(anomalous)} anomalous."
        )
    if not np.isfinite(scores).all():
        bad = np.flatnonzero(~np.isfinite(scores))
        raise ValueError(
            f"Expected `scores` to be finite, got {scores[bad[0]]} at index {bad[0]}"
            f" ({len(bad)} of {len(scores)} are not)."
        )
    return anomalous, scores


def _by_class(anomalous: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the normal and of the anomalous images, each in rising order."""
    anomalous, scores = _checked(anomalous, scores)
    return np.sort(scores[~anomalous]), np.sort(scores[anomalous])


def _midpoints(normals: np.ndarray, anomalies: np.ndarray) -> np.ndarray:
    """Rising thresholds, one for each decision rule that differs on these scores."""
    values = np.unique(np.concatenate([normals, anomalies]))
    below, above = np.nextafter(values[[0, -1]], [-np.inf, np.inf])
    return np.concatenate([[below], values[:-1] / 2 + values[1:] / 2, [above]])


def _errors(
    normals: np.ndarray, anomalies: np.ndarray, thresholds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Counts of missed anomalies and of false alarms at each threshold."""
    missed = np.searchsorted(anomalies, thresholds, side="right")
    alarms = len(normals) - np.searchsorted(normals, thresholds, side="right")
    return missed, alarms
