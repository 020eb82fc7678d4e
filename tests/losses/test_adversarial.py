import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from ocjax.losses import adversarial

LOGITS = np.array([-3.0, -0.5, 0.0, 0.5, 3.0])


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_discriminator_by_hand():
    # D = 1/2 for both: -(log 1/2 + log 1/2) / 2 = log 2 = 0.6931
    loss = adversarial.discriminator(jnp.zeros(1), jnp.zeros(1))
    np.testing.assert_allclose(loss, [0.693147], rtol=1e-5)
    # Logit log 3 is D = 3/4: -(log 3/4 + log 3/4) / 2 = 0.2877
    loss = adversarial.discriminator(
        jnp.log(jnp.array([3.0])), -jnp.log(jnp.array([3.0]))
    )
    np.testing.assert_allclose(loss, [0.287682], rtol=1e-5)


def test_agrees_with_numpy():
    d = _sigmoid(LOGITS)
    fake = _sigmoid(LOGITS[::-1])
    np.testing.assert_allclose(
        adversarial.discriminator(jnp.asarray(LOGITS), jnp.asarray(LOGITS[::-1])),
        -0.5 * (np.log(d) + np.log(1 - fake)),
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        adversarial.non_saturating(jnp.asarray(LOGITS)), -np.log(d), rtol=1e-5
    )
    np.testing.assert_allclose(
        adversarial.literal(jnp.asarray(LOGITS)), np.log(1 - d), rtol=1e-5
    )


@pytest.mark.parametrize("loss", [adversarial.non_saturating, adversarial.literal])
def test_a_generator_lowers_its_loss_by_fooling_the_discriminator(loss):
    gradient = jax.vmap(jax.grad(loss))(jnp.asarray(LOGITS))
    assert (gradient < 0).all()
    check_grads(loss, (jnp.asarray(LOGITS),), order=1, modes=["rev"], rtol=2e-2)


def test_only_the_literal_loss_saturates_where_a_fake_is_obvious():
    assert abs(jax.grad(adversarial.literal)(-20.0)) < 1e-8
    assert jax.grad(adversarial.non_saturating)(-20.0) == pytest.approx(-1)


@pytest.mark.parametrize("logit", [-100.0, 0.0, 100.0])
def test_losses_and_gradients_are_finite_at_extremes(logit):
    logits = jnp.array([logit])
    for loss in (
        lambda x: adversarial.discriminator(x, -x).sum(),
        lambda x: adversarial.discriminator(-x, x).sum(),
        lambda x: adversarial.non_saturating(x).sum(),
        lambda x: adversarial.literal(x).sum(),
    ):
        value, gradient = jax.value_and_grad(loss)(logits)
        assert jnp.isfinite(value) and jnp.isfinite(gradient).all()


def test_feature_matching_by_hand():
    f, f_hat = jnp.array([[1.0, 2.0, 3.0]]), jnp.array([[1.0, 0.0, 4.0]])
    # (0 + 4 + 1) / 3
    np.testing.assert_allclose(
        adversarial.feature_matching(f, f_hat), [5 / 3], rtol=1e-6
    )


def test_feature_matching_agrees_with_numpy():
    f, f_hat = np.random.default_rng(0).normal(size=(2, 3, 7))
    expected = [np.mean((a - b) ** 2) for a, b in zip(f, f_hat, strict=True)]
    actual = adversarial.feature_matching(jnp.asarray(f), jnp.asarray(f_hat))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)
    check_grads(
        adversarial.feature_matching, (f, f_hat), order=1, modes=["rev"], rtol=2e-2
    )


def test_refuses_other_shapes():
    with pytest.raises(ValueError, match="real_logits"):
        adversarial.discriminator(jnp.zeros((2, 1)), jnp.zeros(2))
    with pytest.raises(ValueError, match="fake_features"):
        adversarial.feature_matching(jnp.zeros((2, 4)), jnp.zeros((2, 5)))
