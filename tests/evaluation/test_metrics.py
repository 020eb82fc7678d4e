import dataclasses
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from ocjax.evaluation import metrics

# Few values, so that ties are frequent; both classes are always there.
labelled = st.lists(
    st.tuples(st.booleans(), st.integers(-8, 8)), min_size=0, max_size=30
).map(lambda pairs: [(False, 0), (True, 1), *pairs])


def arrays(pairs):
    anomalous, scores = zip(*pairs, strict=True)
    return np.array(anomalous), np.array(scores, float)


def sample(normals, anomalies, decimals=8, seed=0):
    rng = np.random.default_rng(seed)
    scores = np.concatenate([rng.normal(0, 1, normals), rng.normal(1, 1, anomalies)])
    order = rng.permutation(normals + anomalies)
    return order >= normals, scores[order].round(decimals)


def pairs_auroc(anomalous, scores):
    wins = 0.0
    for a in scores[anomalous]:
        for n in scores[~anomalous]:
            wins += 1.0 if a > n else 0.5 if a == n else 0.0
    return wins / (anomalous.sum() * (~anomalous).sum())


def error_rates(anomalous, scores, threshold):
    missed = np.mean([s <= threshold for s in scores[anomalous]])
    alarms = np.mean([s > threshold for s in scores[~anomalous]])
    return missed, alarms


def test_auroc_by_hand():
    # Normal 1, 2, 2; anomalous 2, 3. The 2 wins once and ties twice, the 3 wins
    # three times: (1 + 1/2 + 1/2 + 3) / 6 = 5/6.
    anomalous = [False, False, False, True, True]
    assert metrics.auroc(anomalous, [1, 2, 2, 2, 3]) == pytest.approx(5 / 6)


@pytest.mark.parametrize("decimals", [0, 1, 8])
@pytest.mark.parametrize("counts", [(1, 1), (3, 20), (40, 15)])
def test_auroc_is_the_share_of_pairs_in_order(counts, decimals):
    anomalous, scores = sample(*counts, decimals=decimals)
    assert metrics.auroc(anomalous, scores) == pytest.approx(
        pairs_auroc(anomalous, scores)
    )


@given(labelled)
def test_auroc_is_unchanged_by_increasing_maps_and_reversed_by_negation(pairs):
    anomalous, scores = arrays(pairs)
    value = metrics.auroc(anomalous, scores)
    assert metrics.auroc(anomalous, np.exp(scores) - 5) == pytest.approx(value)
    assert metrics.auroc(anomalous, scores**3) == pytest.approx(value)
    assert metrics.auroc(anomalous, -scores) == pytest.approx(1 - value)
    assert metrics.auroc(~anomalous, scores) == pytest.approx(1 - value)


def test_average_precision_by_hand():
    # From the top: anomalous, normal, anomalous. Recall 1/2 at precision 1, the other
    # half at precision 2/3: (1 + 2/3) / 2 = 5/6.
    assert metrics.average_precision(
        [True, False, True], [3.0, 2.0, 1.0]
    ) == pytest.approx(5 / 6)


@pytest.mark.parametrize("decimals", [0, 1, 8])
@pytest.mark.parametrize("counts", [(1, 1), (7, 3), (60, 40)])
def test_areas_and_the_curve_agree_with_scikit_learn(counts, decimals):
    anomalous, scores = sample(*counts, decimals=decimals)
    both = anomalous, scores
    exact = lambda value: pytest.approx(value, rel=1e-12)
    assert metrics.auroc(*both) == exact(sklearn.metrics.roc_auc_score(*both))
    expected = sklearn.metrics.average_precision_score(*both)
    assert metrics.average_precision(*both) == exact(expected)
    curve = sklearn.metrics.roc_curve(*both, drop_intermediate=False)[:2]
    np.testing.assert_allclose(metrics.roc_curve(*both), curve, rtol=1e-12)


def test_fpr_at_tpr_by_hand():
    # Anomalies 2, 4, 6, 8; normals 1, 3, 5, 7, 9. To find three of four anomalies
    # the threshold lies below 4: of the normals 5, 7 and 9 are above it.
    scores = [1, 3, 5, 7, 9, 2, 4, 6, 8]
    anomalous = [False] * 5 + [True] * 4
    assert metrics.fpr_at_tpr(anomalous, scores, 0.75) == 3 / 5
    assert metrics.fpr_at_tpr(anomalous, scores, 0.76) == 4 / 5
    assert metrics.fpr_at_tpr(anomalous, scores, 0.0) == 0


@pytest.mark.parametrize("decimals", [0, 1, 8])
@pytest.mark.parametrize("tpr", [0.5, 0.95, 1.0])
def test_fpr_at_tpr_agrees_with_scikit_learn(tpr, decimals):
    anomalous, scores = sample(60, 40, decimals)
    fprs, tprs, _ = sklearn.metrics.roc_curve(
        anomalous, scores, drop_intermediate=False
    )
    assert metrics.fpr_at_tpr(anomalous, scores, tpr) == fprs[tprs >= tpr].min()


def test_equal_error_rate_by_hand():
    # Normals 1, 2, 3, 6; anomalies 4, 5, 7, 8. Between 4 and 5 one anomaly of four
    # is missed and one normal of four raises an alarm.
    scores = [1, 2, 3, 6, 4, 5, 7, 8]
    anomalous = [False] * 4 + [True] * 4
    assert metrics.equal_error_rate(anomalous, scores) == (0.25, 4.5)


def test_equal_error_rate_takes_the_lowest_of_equal_thresholds():
    # Normals 1, 2; anomalies 2, 3. Misses and alarms are (0, 1/2) at 1.5 and
    # (1/2, 0) at 2.5: equally far apart.
    anomalous = [False, False, True, True]
    assert metrics.equal_error_rate(anomalous, [1, 2, 2, 3]) == (0.25, 1.5)


@pytest.mark.parametrize("decimals", [0, 1, 8])
@pytest.mark.parametrize("counts", [(7, 3), (30, 50)])
def test_equal_error_rate_agrees_with_a_plain_search(counts, decimals):
    anomalous, scores = sample(*counts, decimals=decimals)
    values = sorted(set(scores))
    middles = [(a + b) / 2 for a, b in zip(values, values[1:], strict=False)]
    thresholds = [values[0] - 1, *middles, values[-1] + 1]
    rates = [error_rates(anomalous, scores, t) for t in thresholds]
    best = min(range(len(rates)), key=lambda i: round(abs(np.diff(rates[i])[0]), 12))
    found = metrics.equal_error_rate(anomalous, scores)
    assert found.rate == pytest.approx(np.mean(rates[best]))
    assert found.threshold == pytest.approx(thresholds[best])


def test_equal_error_rate_of_equal_scores_is_a_half():
    rate, threshold = metrics.equal_error_rate([False, True], [2.0, 2.0])
    assert rate == 0.5
    assert threshold == pytest.approx(2.0)


def test_half_total_error_rate_by_hand():
    # At 2.5: of the anomalies 2, 3, 4, 5 one is missed; of the normals 1, 2, 3, 9, 8
    # three raise an alarm: (1/4 + 3/5) / 2 = 0.425.
    scores = [1, 2, 3, 9, 8, 2, 3, 4, 5]
    anomalous = [False] * 5 + [True] * 4
    assert metrics.half_total_error_rate(anomalous, scores, 2.5) == pytest.approx(0.425)


def test_half_total_error_rate_with_the_threshold_of_a_development_set():
    development = metrics.equal_error_rate([False, False, True, True], [0, 1, 2, 3])
    # The threshold is 1.5. In the test one anomaly of two is missed, and no normal
    # image raises an alarm: 1/4.
    rate = metrics.half_total_error_rate(
        [False, True, True], [1.0, 1.4, 9.0], development.threshold
    )
    assert (development.threshold, rate) == (1.5, 0.25)


def test_a_score_equal_to_the_threshold_is_normal():
    assert metrics.half_total_error_rate([False, True], [1.0, 2.0], 1.0) == 0
    assert metrics.half_total_error_rate([False, True], [1.0, 2.0], 2.0) == 0.5


def test_best_f1_by_hand():
    # Calling 3 and 4 anomalous finds both anomalies and nothing else but the normal
    # 3.5: 2 * 2 / (2 + 3) = 0.8.
    anomalous = [False, False, False, True, True]
    assert metrics.best_f1(anomalous, [1, 2, 3.5, 3, 4]) == pytest.approx(0.8)


@given(labelled)
def test_best_f1_agrees_with_scikit_learn_at_every_threshold(pairs):
    anomalous, scores = arrays(pairs)
    f1s = [sklearn.metrics.f1_score(anomalous, scores >= t) for t in scores]
    assert metrics.best_f1(anomalous, scores) == pytest.approx(max(f1s))


@pytest.mark.parametrize("decimals", [1, 8])
def test_auroc_interval_agrees_with_a_slow_bootstrap(decimals):
    anomalous, scores = sample(40, 25, decimals)
    normals, anomalies = scores[~anomalous], scores[anomalous]
    rng = np.random.default_rng(1)
    aurocs = []
    for _ in range(600):
        drawn = [*rng.choice(normals, 40), *rng.choice(anomalies, 25)]
        labels = [False] * 40 + [True] * 25
        aurocs.append(sklearn.metrics.roc_auc_score(labels, drawn))
    interval = metrics.auroc_interval(anomalous, scores, level=0.9, resamples=4000)
    np.testing.assert_allclose(interval, np.quantile(aurocs, [0.05, 0.95]), atol=0.015)


def test_auroc_interval_covers_the_truth_about_as_often_as_it_says():
    # The area between N(0, 1) and N(1, 1) is Phi(1 / sqrt 2) = 0.7602.
    intervals = [
        metrics.auroc_interval(*sample(80, 80, seed=i), level=0.9, resamples=200)
        for i in range(200)
    ]
    covered = np.mean([i.low <= 0.7602 <= i.high for i in intervals])
    assert 0.82 < covered < 0.96


def test_auroc_interval_is_the_same_twice_and_wider_at_a_higher_level():
    data = sample(50, 50)
    wide = metrics.auroc_interval(*data, level=0.99, resamples=500)
    narrow = metrics.auroc_interval(*data, level=0.5, resamples=500)
    assert wide == metrics.auroc_interval(*data, level=0.99, resamples=500)
    assert wide.low < narrow.low < metrics.auroc(*data) < narrow.high < wide.high


def test_auroc_interval_of_separated_classes_is_one():
    assert metrics.auroc_interval([False, False, True], [0, 1, 2]) == (1, 1)


def test_measures_are_plain_numbers_and_those_of_the_functions():
    anomalous, scores = sample(60, 40)
    result = metrics.measures(anomalous, scores.astype(np.float32))
    values = dataclasses.asdict(result)
    assert {type(value) for value in values.values()} == {float}
    assert values == {
        "auroc": metrics.auroc(anomalous, scores),
        "auroc_low": metrics.auroc_interval(anomalous, scores).low,
        "auroc_high": metrics.auroc_interval(anomalous, scores).high,
        "average_precision": metrics.average_precision(anomalous, scores),
        "fpr_at_95_tpr": metrics.fpr_at_tpr(anomalous, scores),
        "equal_error_rate": metrics.equal_error_rate(anomalous, scores).rate,
        "best_f1_oracle": metrics.best_f1(anomalous, scores),
    }


@pytest.mark.parametrize(
    "anomalous, scores, error, message",
    [
        ([0, 1], [0.0, 1.0], TypeError, "`anomalous` to be boolean, got int64"),
        ([False, True], [0.0], ValueError, r"one shape \[N\], got \(2,\) and \(1,\)"),
        ([[False, True]], [[0.0, 1.0]], ValueError, r"got \(1, 2\) and \(1, 2\)"),
        ([True, True], [0.0, 1.0], ValueError, "got 0 normal and 2 anomalous"),
        ([False], [0.0], ValueError, "got 1 normal and 0 anomalous"),
        ([False, True], [0.0, np.nan], ValueError, "got nan at index 1"),
        ([False, True], [np.inf, 0.0], ValueError, "`scores` to be finite, got inf"),
    ],
)
def test_unusable_labels_and_scores_are_named(anomalous, scores, error, message):
    for metric in [metrics.auroc, metrics.equal_error_rate, metrics.measures]:
        with pytest.raises(error, match=message):
            metric(anomalous, scores)


def test_unusable_options_are_named():
    with pytest.raises(ValueError, match="`tpr` to be in .* got 95"):
        metrics.fpr_at_tpr([False, True], [0, 1], tpr=95)
    with pytest.raises(ValueError, match="`level` to be in .* got 95"):
        metrics.auroc_interval([False, True], [0, 1], level=95)
    with pytest.raises(ValueError, match="`resamples` to be at least 1, got 0"):
        metrics.auroc_interval([False, True], [0, 1], resamples=0)


def test_kinds_are_judged_against_all_normals_by_hand():
    anomalous = np.array([False, False, True, True, True])
    kinds = ["good", "other good", "crack", "hole", "hole"]
    found = metrics.by_kind(anomalous, [0.0, 2.0, 1.0, 3.0, -1.0], kinds)
    assert list(found) == ["crack", "hole"]
    assert found["crack"].auroc == 0.5 and found["crack"].anomalies == 1
    # 3 is over both normals, -1 over none.
    assert found["hole"].auroc == 0.5 and found["hole"].anomalies == 2


def test_regions_count_alike_by_hand():
    # Two defects: one of 1 pixel found at once, one of 4 found after two false alarms.
    masks = np.zeros((1, 4, 5), bool)
    masks[0, 0, 0] = masks[0, 2:, 3:] = True
    maps = np.zeros((1, 4, 5))
    maps[0, 0, 0], maps[0, 0, 2:4], maps[0, 2:, 3:] = 3, 2, 1
    # Rates 0, 2/15, 2/15 and 1; overlaps 1/2, 1/2, 1 and 1.
    expected = (2 / 15 * 0.5 + (0.3 - 2 / 15) * 1) / 0.3
    assert metrics.per_region_overlap(masks, maps) == pytest.approx(expected)
    assert metrics.pixel_auroc(masks, maps) == pytest.approx((15 + 4 * 13) / 75)


def brute_force_overlap(masks, maps, limit):
    """As the definition says, threshold by threshold."""
    regions = []
    for i, mask in enumerate(masks):
        found: Any = scipy.ndimage.label(mask, np.ones((3, 3)))
        labels, count = found
        regions += [(i, labels == n + 1) for n in range(count)]
    alarms, overlap = [0.0], [0.0]
    for threshold in np.unique(maps)[::-1]:
        above = maps >= threshold
        alarms.append(above[~masks].mean())
        shares = [above[i][region].mean() for i, region in regions]
        overlap.append(float(np.mean(shares)))
    fine = np.linspace(0, limit, 200_001)
    return np.mean(np.interp(fine, alarms, overlap))


@pytest.mark.parametrize("limit", [0.05, 0.3, 1.0])
def test_per_region_overlap_is_its_definition(limit):
    rng = np.random.default_rng(0)
    masks = scipy.ndimage.gaussian_filter(rng.normal(size=(3, 16, 16)), (0, 1, 1)) > 0.3
    maps = np.round(rng.uniform(size=masks.shape) + 0.5 * masks, 2)
    expected = brute_force_overlap(masks, maps, limit)
    found = metrics.per_region_overlap(masks, maps, limit)
    assert found == pytest.approx(expected, abs=1e-3)


def test_perfect_heatmaps_overlap_wholly_and_flat_ones_by_chance():
    masks = np.zeros((2, 8, 8), bool)
    masks[0, 2:4, 2:4] = True
    assert metrics.per_region_overlap(masks, masks.astype(float)) == 1
    flat = metrics.per_region_overlap(masks, np.zeros(masks.shape))
    assert flat == pytest.approx(0.15)  # Half of the limit of 0.3.


@pytest.mark.parametrize("metric", [metrics.pixel_auroc, metrics.per_region_overlap])
def test_masks_and_heatmaps_are_checked(metric):
    masks = np.zeros((1, 4, 4), bool)
    with pytest.raises(ValueError, match="one shape"):
        metric(masks, np.zeros((1, 4, 5)))
    with pytest.raises(ValueError, match="both classes"):
        metric(masks, np.zeros((1, 4, 4)))
    with pytest.raises(TypeError, match="boolean"):
        metric(masks.astype(int), np.zeros((1, 4, 4)))
    masks[0, 0, 0] = True
    with pytest.raises(ValueError, match="`limit`"):
        metrics.per_region_overlap(masks, np.zeros((1, 4, 4)), limit=0)


def test_heatmaps_are_judged_where_masks_mark_something():
    masks = np.zeros((1, 4, 4), bool)
    assert metrics.localization(masks, np.zeros((1, 4, 4))) is None
    masks[0, 0, 0] = True
    judged = metrics.localization(masks, masks.astype(float))
    assert judged == metrics.Localization(pixel_auroc=1, per_region_overlap=1)
