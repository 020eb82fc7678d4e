"""Detectors fitted to pixels, beside scikit-learn's own scores."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_methods
from scipy.spatial.distance import cdist
from scipy.special import logsumexp
from sklearn.covariance import LedoitWolf
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.neighbors import KernelDensity, LocalOutlierFactor, NearestNeighbors
from sklearn.svm import OneClassSVM

from ocjax import Detector, inference
from ocjax._checks import InputError
from ocjax.evaluation import metrics
from ocjax.inference import stablehlo
from ocjax.methods import METHODS, _pixels, iforest, kde
from ocjax.modules import axis

NAMES = "knn", "lof", "mahalanobis", "ocsvm", "kde", "iforest"
ON_COMPONENTS = tuple(name for name in NAMES if name != "iforest")
of_each = pytest.mark.parametrize("name", NAMES)

DIGITS, LABELS = load_digits(return_X_y=True)
# With little noise, for few levels make many distances equal.
NOISE = np.random.default_rng(0).normal(0, 1e-2, DIGITS.shape)
DIGITS = ((DIGITS + NOISE) / 8 - 1).reshape(-1, 8, 8, 1).astype(np.float32)
NORMAL = DIGITS[LABELS == 8]
TRAIN, REST = NORMAL[:100], np.concatenate([NORMAL[100:], DIGITS[LABELS == 3]])
ANOMALOUS = np.arange(len(REST)) >= len(NORMAL) - 100


def build(name, **hyper):
    config, builder = METHODS[name]
    return builder(config(**hyper))


def fitted(method, images, seed=0):
    """The state after training on images, and a compiled score of it."""
    images = jnp.asarray(images)
    state = method.init(jax.random.key(seed), images[:1])
    state = tiny_methods.after_a_pass(method.stages[0].computed, state, images)
    return state, functools.partial(jax.jit(method.score), state)


def flat(images):
    return images.reshape(len(images), -1).astype(np.float64)


def reduced(variance):
    """The points of images: pixels, centred pixels or principal components."""
    if variance is None:
        return flat
    if not variance:
        return lambda images: flat(images) - flat(TRAIN).mean(0)
    model = PCA(variance, svd_solver="full").fit(flat(TRAIN))
    return lambda images: model.transform(flat(images))


def _knn(points, seed):
    model = NearestNeighbors(n_neighbors=5).fit(points)
    return lambda points: model.kneighbors(points)[0].mean(1)


def _lof(points, seed):
    model = LocalOutlierFactor(n_neighbors=20, novelty=True).fit(points)
    return lambda points: -model.score_samples(points)


def _kde(points, seed):
    # Not by `score_samples`, which tells no densities of less than 1e-16 apart from it.
    h = kde.likeliest(points, seed)
    constant = np.log(len(points)) + points.shape[1] / 2 * np.log(2 * np.pi * h**2)
    exponents = lambda x: -cdist(x, points, "sqeuclidean") / (2 * h**2)
    return lambda x: constant - logsumexp(exponents(x), axis=1)


def _ocsvm(points, seed):
    model = OneClassSVM(nu=0.1, gamma="scale").fit(points)
    return lambda points: -model.decision_function(points)


def _iforest(pixels, seed):
    options: Any = {"max_samples": len(pixels), "random_state": seed}
    model = IsolationForest(**options).fit(pixels)
    return lambda pixels: -model.score_samples(pixels)


# name -> (variance of the default configuration, scikit-learn's score).
ORACLES = {
    "knn": (0, _knn),
    "lof": (0.95, _lof),
    "mahalanobis": (0.95, lambda points, _: LedoitWolf().fit(points).mahalanobis),
    "ocsvm": (0.95, _ocsvm),
    "kde": (0.95, _kde),
    "iforest": (None, _iforest),
}


@of_each
def test_scores_on_digits_are_those_of_scikit_learn(name):
    state, score = fitted(build(name), TRAIN)
    variance, oracle = ORACLES[name]
    points = reduced(variance)
    expected = oracle(points(TRAIN), int(state.params[name]["seed"]))(points(REST))
    scores = np.asarray(score(REST))
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-5)
    auroc = metrics.auroc(ANOMALOUS, scores)
    assert auroc == pytest.approx(metrics.auroc(ANOMALOUS, expected), abs=1e-3)
    assert auroc > 0.7


@pytest.mark.parametrize("name", ON_COMPONENTS)
@pytest.mark.parametrize("variance", [0.0, 0.5])
def test_a_share_of_the_variance_is_that_of_scikit_learn(name, variance):
    state, score = fitted(build(name, variance=variance), TRAIN)
    points = reduced(variance)
    expected = ORACLES[name][1](points(TRAIN), int(state.params[name]["seed"]))
    np.testing.assert_allclose(
        score(REST), expected(points(REST)), rtol=2e-4, atol=2e-5
    )


@pytest.mark.parametrize("count", [100, 20], ids=["many images", "few images"])
@pytest.mark.parametrize("variance", [0.3, 0.95, 1 - 1e-12])
def test_components_are_those_of_scikit_learn(count, variance):
    pixels = flat(TRAIN[:count])
    rows = _pixels.principal(pixels - pixels.mean(0), variance)
    expected: Any = PCA(variance, svd_solver="full").fit(pixels).components_
    if variance < 0.99:
        assert len(rows) == len(expected)
    np.testing.assert_allclose(rows @ rows.T, np.eye(len(rows)), atol=1e-6)
    rows, expected = rows[: len(expected)], expected[: len(rows)]
    similarity = np.abs((rows * expected).sum(1))
    np.testing.assert_allclose(similarity[:10], 1, atol=1e-6)


def test_the_bandwidth_is_the_likeliest_in_cross_validation():
    points = reduced(0.95)(TRAIN)
    folds = np.random.default_rng(3).permutation(np.arange(len(points)) % kde.FOLDS)
    grid = {"bandwidth": kde.BANDWIDTHS}
    search = GridSearchCV(KernelDensity(), grid, cv=PredefinedSplit(folds)).fit(points)
    assert kde.likeliest(points, 3) == search.best_params_["bandwidth"]


def test_a_bandwidth_and_a_width_that_are_given_are_taken():
    points = reduced(0.95)
    _, score = fitted(build("kde", bandwidth=2.0), TRAIN)
    model = KernelDensity(bandwidth=2.0).fit(points(TRAIN))
    np.testing.assert_allclose(
        score(REST), -model.score_samples(points(REST)), rtol=1e-4
    )
    _, score = fitted(build("ocsvm", gamma=0.02, nu=0.3), TRAIN)
    options: Any = {"gamma": 0.02, "nu": 0.3}
    model = OneClassSVM(**options).fit(points(TRAIN))
    np.testing.assert_allclose(
        score(REST), -model.decision_function(points(REST)), rtol=1e-4, atol=1e-5
    )


def test_pixels_at_a_threshold_go_where_scikit_learn_sends_them():
    # Of few levels, so that thresholds between them can round to one.
    levels = np.array([-1, np.nextafter(np.float32(-1), 0), 1], np.float32)
    images = levels[np.random.default_rng(0).integers(0, 3, (60, 2, 2, 1))]
    state, score = fitted(build("iforest", trees=20), images)
    seed = int(state.params["iforest"]["seed"])
    options: Any = {"n_estimators": 20, "max_samples": 60, "random_state": seed}
    model = IsolationForest(**options).fit(flat(images))
    np.testing.assert_allclose(
        score(images), -model.score_samples(flat(images)), rtol=1e-5
    )


def test_questions_until_an_image_is_alone_by_hand():
    np.testing.assert_allclose(iforest.average_length(np.array([1, 2])), [0, 1])
    # 2 (ln 3 + 0.5772157) - 2 * 3 / 4
    np.testing.assert_allclose(iforest.average_length(np.array(4)), 1.8516559)


def test_a_forest_grows_by_the_seed_alone():
    scores = [fitted(build("iforest"), TRAIN, seed)[1](REST) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert (scores[0] != scores[2]).any()


@of_each
def test_images_that_are_all_alike_give_finite_scores(name):
    _, score = fitted(build(name), np.repeat(TRAIN[:1], 30, 0))
    assert np.isfinite(score(REST)).all()


@of_each
def test_copies_of_a_training_image_are_not_anomalous(name):
    images = np.concatenate([TRAIN, np.repeat(TRAIN[:1], 40, 0)])
    _, score = fitted(build(name), images)
    # Those that the same arithmetic finds at distance 0, and those that it does not.
    copies = np.concatenate([TRAIN[:1], TRAIN[:1] + 1e-6]).astype(np.float32)
    assert (score(copies) <= np.median(score(REST))).all()


@of_each
def test_gradients_at_a_training_image_are_finite(name):
    state, _ = fitted(build(name), TRAIN)
    gradient = jax.grad(lambda x: build(name).score(state, x).sum())(TRAIN[:2])
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize(
    "name, hyper, count, message",
    [
        ("knn", {}, 4, "at least 5 training images .`hyper.neighbours` is 5., got 4"),
        ("lof", {}, 20, "at least 21 training images .`hyper.neighbours` is 20."),
        ("mahalanobis", {}, 1, "mahalanobis takes at least 2 training images, got 1"),
        ("ocsvm", {}, 1, "ocsvm takes at least 2 training images, got 1"),
        ("kde", {}, 1, "kde takes at least 2 training images, got 1"),
        ("iforest", {}, 1, "iforest takes at least 2 training images, got 1"),
    ],
)
def test_too_few_images_are_said_in_one_line(name, hyper, count, message):
    method = build(name, **hyper)
    with pytest.raises(InputError, match=message):
        fitted(method, TRAIN[:count])
    _, score = fitted(method, TRAIN[: count + 1])
    assert np.isfinite(score(REST)).all()


@of_each
def test_too_many_pixels_are_said_in_one_line(name):
    start = build(name).stages[0].computed.start
    with pytest.raises(InputError, match="54,000 of 128 x 128 x 3 are 9.9: lower"):
        start(None, (128, 128, 3), 54_000)


@pytest.mark.parametrize(
    "name, hyper, message",
    [
        ("knn", {"neighbours": 0}, "`hyper.neighbours` .=0. must be at least 1"),
        ("lof", {"neighbours": 0}, "`hyper.neighbours` .=0. must be at least 1"),
        ("lof", {"variance": 1.0}, "`hyper.variance` .=1.0. must be at least 0"),
        ("mahalanobis", {"variance": -0.1}, "`hyper.variance` .=-0.1. must be at"),
        ("ocsvm", {"nu": 0.0}, "`hyper.nu` .=0.0. must be greater than 0"),
        ("ocsvm", {"nu": 1.5}, "`hyper.nu` .=1.5. must be greater than 0"),
        ("ocsvm", {"gamma": -1.0}, "`hyper.gamma` .=-1.0. must be at least 0"),
        ("kde", {"bandwidth": -1.0}, "`hyper.bandwidth` .=-1.0. must be at least 0"),
        ("iforest", {"trees": 0}, "`hyper.trees` .=0. must be at least 1"),
        ("iforest", {"samples": 1}, "`hyper.samples` .=1. must be at least 2"),
    ],
)
def test_options_out_of_range_are_said_by_name(name, hyper, message):
    with pytest.raises(InputError, match=message):
        build(name, **hyper)


def test_a_pass_keeps_each_image_once_in_its_place_on_all_devices():
    computed = build("knn").stages[0].computed
    images = TRAIN[:8].reshape(2, 4, 8, 8, 1)  # Of two devices.
    numbers = jnp.array([[0, 1, 2, 3], [4, 5, -1, -1]])  # Six, and two that fill up.
    sums = computed.start(None, (8, 8, 1), 6)
    add = functools.partial(computed.add, None, sums)
    both = jax.vmap(add, axis_name=axis.NAME)(images, numbers)["pixels"]
    for pixels in both:
        np.testing.assert_array_equal(pixels, TRAIN[:6].reshape(6, -1))


@of_each
def test_a_detector_is_saved_loaded_and_exported(name, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32), np.uint8)
    detector = Detector(name, random_state=0, false_positive_rate=0.2).fit(images[:32])
    scores = detector.anomaly_score(images)
    again = Detector.load(detector.save(tmp_path / "detector.ocjax"))
    np.testing.assert_array_equal(again.anomaly_score(images), scores)
    program = stablehlo.save(tmp_path / "program.ocjax", *detector.parts)
    exported = inference.open(program).score(detector._images(images))
    np.testing.assert_allclose(exported, scores, rtol=1e-4, atol=1e-5)
