"""What the losses without a file of their own compute, all in one table."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from ocjax.losses import (
    dual_autoencoder,
    entropy,
    latent,
    mutual_information,
    splitting,
)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _entropy(z):
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    return -(p * np.log(p)).sum(-1)


def _cross_entropy(logits, targets):
    d = _sigmoid(logits)
    return -np.where(targets, np.log(d), np.log(1 - d))


ATYPICAL = jnp.array([0.0, 1.0, 1.0, 0.0, 1.0])
THREE_QUARTERS = float(np.log(3))  # The logit of 3/4.

# Loss, how many arrays it takes, the formula; arguments and result by hand.
TABLE = [
    (
        dual_autoencoder.auxiliary,
        2,
        lambda real, generated: real - 0.4 * generated,
        ([3.0], [5.0]),
        [1.0],  # 3 - 0.4 * 5
    ),
    (
        functools.partial(dual_autoencoder.controlled, 0.4, rate=0.1, ratio=0.5),
        2,
        lambda real, generated: np.clip(0.4 + 0.1 * (0.5 * real - generated), 0, 1),
        ([0.2, 0.0, 40.0], [0.3, 5.0, 0.0]),
        [0.38, 0.0, 1.0],  # 0.4 + 0.1 (0.1 - 0.3); below 0; above 1
    ),
    (
        mutual_information.jensen_shannon,
        2,
        lambda t, t_: -np.log(_sigmoid(t)) - np.log(1 - _sigmoid(t_)),
        ([0.0, THREE_QUARTERS], [0.0, THREE_QUARTERS]),
        [1.386294, 1.673976],  # 2 log 2; -log 3/4 - log 1/4
    ),
    (
        splitting.closeness,
        1,
        lambda x: -np.log(1 - _sigmoid(x)),
        ([0.0, THREE_QUARTERS],),
        [0.693147, 1.386294],  # -log 1/2, -log 1/4
    ),
    (
        splitting.dispersion,
        1,
        lambda x: -np.log(_sigmoid(x)),
        ([0.0, THREE_QUARTERS],),
        [0.693147, 0.287682],  # -log 1/2, -log 3/4
    ),
    (
        functools.partial(splitting.intra_class, atypical=ATYPICAL),
        1,
        lambda x: _cross_entropy(x, ATYPICAL),
        ([0.0, THREE_QUARTERS, -THREE_QUARTERS, THREE_QUARTERS, 0.0],),
        [0.693147, 0.287682, 1.386294, 1.386294, 0.693147],
    ),
    (
        entropy.softmax_entropy,
        1,
        _entropy,
        ([[0.0, 0.0, 0.0, 0.0], [float(np.log(2)), 0.0, 0.0, -1e4]],),
        # log 4; probabilities 1/2, 1/4, 1/4, 0: 0.5 log 2 + 0.5 log 4
        [1.386294, 1.039721],
    ),
    (
        latent.kl_standard_normal,
        2,
        lambda m, v: 0.5 * (m**2 + np.exp(v) - 1 - v).sum(-1),
        ([[1.0, 0.0]], [[0.0, THREE_QUARTERS]]),
        [0.950694],  # (1 + 0) / 2 + (3 - 1 - log 3) / 2
    ),
]
NAMES = [getattr(row[0], "func", row[0]).__name__ for row in TABLE]


@pytest.fixture(params=TABLE, ids=NAMES)
def row(request):
    return request.param


def test_by_hand(row):
    loss, _, _, arguments, expected = row
    actual = loss(*(jnp.array(a) for a in arguments))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_agrees_with_numpy(row):
    loss, count, formula, _, _ = row
    arguments = np.random.default_rng(0).normal(scale=2, size=(count, 5))
    actual = jax.jit(loss)(*(jnp.asarray(a) for a in arguments))
    np.testing.assert_allclose(actual, formula(*arguments), rtol=2e-5)
    check_grads(loss, tuple(arguments), order=1, modes=["rev"], rtol=2e-2)


@pytest.mark.parametrize("scale", [0.0, 100.0])
def test_values_and_gradients_are_finite_at_extremes(row, scale):
    loss, count, *_ = row
    if loss is latent.kl_standard_normal:
        scale *= 0.8  # exp(100) is infinite in float32.
    same, mixed = jnp.full(5, scale), scale * jnp.array([1.0, -1.0, 0.0, 1.0, -1.0])
    gradient = jax.value_and_grad(lambda *xs: loss(*xs).sum(), tuple(range(count)))
    for pair in [(same, same), (-same, -same), (same, -same), (mixed, -mixed)]:
        value, gradients = gradient(*pair[:count])
        assert jnp.isfinite(value)
        assert all(jnp.isfinite(g).all() for g in gradients)


def test_refuses_what_it_cannot_use(row):
    loss, count, *_ = row
    with pytest.raises(TypeError, match="floating point, got int32"):
        loss(*[jnp.zeros(5, jnp.int32)] * count)
    if count == 2:
        with pytest.raises(ValueError, match="equal shapes"):
            loss(jnp.zeros((5, 1)), jnp.zeros(5))


def test_k_weighs_generated_images():
    real, generated = jnp.array([3.0]), jnp.array([5.0])
    loss = functools.partial(dual_autoencoder.auxiliary, real)
    np.testing.assert_allclose(loss(generated, 0.0), real)
    np.testing.assert_allclose(loss(generated, 1.0), real - generated)
    # Where G is perfect, both errors are the same: (1 - k) * 3.
    np.testing.assert_allclose(loss(real), 0.6 * real, rtol=1e-6)


@pytest.mark.parametrize("kind", [bool, np.int32, np.float32])
def test_targets_may_be_of_any_kind(kind):
    logits = jnp.array([-100.0, 100.0, 100.0, -100.0])
    targets = jnp.array([0, 1, 0, 1]).astype(kind)
    losses = splitting.intra_class(logits, targets)
    # Sure and right: e^-100; sure and wrong: 100.
    np.testing.assert_allclose(losses, [0, 0, 100, 100], atol=1e-30)
    assert losses.dtype == jnp.float32


def test_a_sure_classifier_keeps_its_gradient():
    # softplus(x) - x would have none here: sigmoid(20) rounds to 1.
    gradient = jax.grad(splitting.intra_class)(20.0, jnp.array(1.0))
    assert gradient == pytest.approx(-np.exp(-20), rel=1e-3)


def test_intra_class_refuses_targets_of_another_shape():
    with pytest.raises(ValueError, match="atypical"):
        splitting.intra_class(jnp.zeros((2, 1)), jnp.zeros(2))
