import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from ocjax._checks import InputError
from ocjax.evaluation import thresholds


def test_threshold_by_hand():
    # n = 9, rate 0.2: k = ceil(10 * 0.8) = 8, the eighth smallest of 1..9.
    scores = np.random.default_rng(0).permutation(np.arange(1.0, 10.0))
    assert thresholds.from_normals(scores, 0.2) == (8.0, 0.2, 9)
    # Rate 0.15: k = ceil(8.5) = 9.
    assert thresholds.from_normals(scores, 0.15).value == 9.0


def test_a_score_equal_to_the_threshold_is_normal():
    threshold = thresholds.Threshold(2.0, 0.1, 9)
    assert thresholds.reached([1.0, 2.0, 3.0, 4.0], threshold) == 0.5


def test_float32_scores_compare_as_they_are():
    scores = np.linspace(0.1, 0.9, 9, dtype=np.float32)
    threshold = thresholds.from_normals(scores, 0.2)
    assert thresholds.reached(scores, threshold) == pytest.approx(1 / 9)


@pytest.mark.parametrize("rate, needed", [(0.5, 1), (0.05, 19), (0.01, 99), (0.3, 3)])
def test_too_few_normals_are_refused_with_the_number_needed(rate, needed):
    scores = np.arange(float(needed))
    assert thresholds.from_normals(scores, rate).value == needed - 1
    if needed > 1:
        with pytest.raises(InputError, match=f"at least {needed} .* got {needed - 1}"):
            thresholds.from_normals(scores[1:], rate)


def test_rounding_of_the_rate_costs_no_rank():
    # n + 1 = 100: k is 100 - percent exactly, though 100 * (1 - 0.41) > 59.
    scores = np.arange(1.0, 100.0)
    for percent in range(1, 100):
        assert thresholds.from_normals(scores, percent / 100).value == 100 - percent


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.37])
def test_fresh_normals_exceed_the_threshold_as_rarely_as_promised(rate):
    rng = np.random.default_rng(0)
    held_out, fresh = rng.gamma(2, size=(4000, 60)), rng.gamma(2, size=(4000, 20))
    rates = [
        thresholds.reached(x, thresholds.from_normals(calibration, rate))
        for calibration, x in zip(held_out, fresh, strict=True)
    ]
    # Without ties the rate is (n + 1 - k) / (n + 1), at most 1 / (n + 1) below.
    error = 4 * np.std(rates) / np.sqrt(len(rates))
    assert rate - 1 / 61 - error < np.mean(rates) < rate + error


@given(
    st.lists(st.integers(-5, 5), min_size=9, max_size=60),
    st.floats(0.1, 0.9),
)
def test_the_promise_holds_on_the_calibration_scores_too(scores, rate):
    threshold = thresholds.from_normals(scores, rate)
    assert threshold.value in scores
    assert thresholds.reached(scores, threshold) <= rate


@pytest.mark.parametrize("rate", [0, 1, 5, -0.1, np.nan])
def test_a_rate_outside_the_unit_interval_is_named(rate):
    with pytest.raises(ValueError, match="`false_positive_rate` to be in"):
        thresholds.from_normals(np.arange(9.0), rate)


def test_unusable_scores_are_named():
    with pytest.raises(ValueError, match=r"`scores` of shape \[N\], N > 0"):
        thresholds.from_normals([], 0.1)
    with pytest.raises(ValueError, match=r"`scores` of shape .* got \(2, 2\)"):
        thresholds.reached(np.zeros((2, 2)), thresholds.Threshold(0.0, 0.1, 9))
    with pytest.raises(ValueError, match="`scores` to be finite"):
        thresholds.from_normals([0.0, np.nan], 0.5)


def test_p_values_and_percentiles_by_hand():
    normals, scores = [3.0, 1.0, 2.0], [0.0, 1.0, 2.5, 9.0]
    # (1 + how many of 1, 2, 3 are at least as high) / 4.
    found = thresholds.p_values(normals, scores)
    np.testing.assert_array_equal(found, [1, 1, 0.5, 0.25])
    found = thresholds.percentiles(normals, scores)
    np.testing.assert_allclose(found, [0, 0, 200 / 3, 100])


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.5])
def test_a_p_value_up_to_the_rate_is_a_score_above_the_threshold(rate):
    rng = np.random.default_rng(0)
    normals, scores = rng.normal(size=50), rng.normal(1, 1, 200)
    above = scores > thresholds.from_normals(normals, rate).value
    p_values = thresholds.p_values(normals, scores)
    np.testing.assert_array_equal(p_values <= rate, above)


def test_p_values_of_fresh_normals_are_as_rare_as_they_say():
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(4000, 20))
    found = np.array([thresholds.p_values(d[:-1], d[-1:])[0] for d in draws])
    for p in (0.05, 0.25, 0.5):
        assert np.mean(found <= p) == pytest.approx(p, abs=0.02)


def test_the_lowest_rate_is_promised_where_there_are_too_few_normals():
    found, note = thresholds.nearest([1.0, 2.0, 3.0], 0.01)
    assert found == (3.0, 0.25, 3)
    assert "3 held-out" in note and "needs 99" in note and "promises 0.25" in note
    assert thresholds.nearest(np.arange(99.0), 0.01)[1] == ""
    found_by_ten, _ = thresholds.nearest(np.arange(10.0), 0.0909090909)
    assert found_by_ten.value == 9 and found_by_ten.false_positive_rate == 1 / 11
    assert thresholds.nearest([1.0, 2.0, 3.0], 0.25) == (found, "")
    with pytest.raises(ValueError, match="in \\(0, 1\\)"):
        thresholds.nearest([1.0], 0.0)


def test_the_interval_of_the_reached_rate_is_clopper_and_pearson_s():
    threshold = thresholds.Threshold(0.5, 0.1, 9)
    low, high = thresholds.reached_interval([0.0] * 10, threshold)
    # Of no alarm among 10: 1 - 0.025^(1/10).
    assert low == 0 and high == pytest.approx(1 - 0.025**0.1)


@pytest.mark.parametrize("above", [0, 1, 4, 9, 10])
@pytest.mark.parametrize("level", [0.5, 0.95])
def test_the_interval_of_the_reached_rate_is_scipys(above, level):
    scores = [1.0] * above + [0.0] * (10 - above)
    threshold = thresholds.Threshold(0.5, 0.1, 9)
    found = thresholds.reached_interval(scores, threshold, level)
    expected = scipy.stats.binomtest(above, 10).proportion_ci(level)
    assert found == pytest.approx(tuple(expected), rel=1e-6, abs=1e-9)
