import numpy as np
import pytest

from ocjax.evaluation import judgement, thresholds

ANOMALOUS = np.array([False, False, False, False, True, True])
SCORES = np.array([0.0, 1.0, 2.0, 5.0, 4.0, 3.0])
KINDS = np.array(["good", "good", "good", "good", "crack", "hole"])
THRESHOLD = thresholds.Threshold(2.0, 0.2, 9)


def test_a_judgement_by_hand():
    judged = judgement.judge(ANOMALOUS, SCORES, KINDS, THRESHOLD, 0.2)
    assert (judged.normals, judged.anomalies) == (4, 2)
    # Of 8 pairs, those with 5 are lost.
    assert judged.measures is not None and judged.measures.auroc == 0.75
    assert {k: (v.auroc, v.anomalies) for k, v in judged.kinds.items()} == {
        "crack": (0.75, 1),
        "hole": (0.75, 1),
    }
    decisions = judged.decisions
    assert decisions is not None and judged.promised_false_positive_rate == 0.2
    assert (decisions.threshold, decisions.reached_false_positive_rate) == (2, 0.25)
    assert (decisions.anomalies_found, decisions.false_alarms) == (2, 1)
    # Clopper and Pearson: 1 - 0.975^(1/4) and, of 1 in 4, 0.8059.
    assert decisions.reached_low == pytest.approx(1 - 0.975**0.25)
    assert decisions.reached_high == pytest.approx(0.8059, abs=1e-4)


def test_normals_alone_have_no_measures():
    normals = ~ANOMALOUS
    judged = judgement.judge(
        ANOMALOUS[normals], SCORES[normals], KINDS[normals], THRESHOLD, 0.2
    )
    assert (judged.normals, judged.anomalies) == (4, 0)
    assert judged.measures is None and judged.kinds == {}
    assert judged.decisions is not None and judged.decisions.anomalies_found == 0


def test_without_a_threshold_nothing_is_decided():
    judged = judgement.judge(ANOMALOUS, SCORES, KINDS, None, None)
    assert judged.decisions is None and judged.measures is not None
