"""What the scores of a labelled test set come to."""

import dataclasses

import numpy as np

from ocjax.evaluation import metrics, thresholds


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What the scores of a labelled test set, and a threshold, come to.

    Attributes:
      normals: number of normal test images.
      anomalies: number of anomalous test images.
      measures: how well scores part the two; None where no image is anomalous.
      kinds: kind of anomaly -> how well that is told from normal images.
      promised_false_positive_rate: most that the threshold promises on average, in
        (0, 1); None where it is not known.
      decisions: what the threshold decides; None where there is no threshold.
    """

    normals: int
    anomalies: int
    measures: metrics.Measures | None
    kinds: dict[str, metrics.Kind]
    promised_false_positive_rate: float | None
    decisions: thresholds.Decisions | None


def judge(
    anomalous: np.ndarray,
    scores: np.ndarray,
    kinds: np.ndarray,
    threshold: thresholds.Threshold | None,
    promised_false_positive_rate: float | None,
) -> Judgement:
    """Judges scores.

    Args:
      anomalous: bool `[N]`, not all of them True.
      scores: finite floats `[N]`, larger where more anomalous.
      kinds: names `[N]`; those of normal images are not used.
      threshold: of other images, if there is one.
      promised_false_positive_rate: of the threshold, if it is known.
    """
    both = bool(anomalous.any())
    return Judgement(
        normals=int(np.sum(~anomalous)),
        anomalies=int(np.sum(anomalous)),
        measures=metrics.measures(anomalous, scores) if both else None,
        kinds=metrics.by_kind(anomalous, scores, kinds) if both else {},
        promised_false_positive_rate=promised_false_positive_rate,
        decisions=None
        if threshold is None
        else thresholds.decide(anomalous, scores, threshold),
    )
