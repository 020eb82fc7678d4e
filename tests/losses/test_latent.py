import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from ocjax.losses import latent

LOSSES = {
    latent.l1: lambda a, b: np.abs(a - b).sum(),
    latent.squared_error: lambda a, b: ((a - b) ** 2).mean(),
    latent.euclidean: lambda a, b: np.linalg.norm(a - b),
}


@pytest.fixture(params=LOSSES, ids=lambda loss: loss.__name__)
def loss(request):
    return request.param


def test_by_hand():
    z, z_hat = jnp.array([[1.0, 2.0], [0.0, 0.0]]), jnp.array([[0.0, 4.0], [0.0, 0.5]])
    # |1| + |-2| = 3;  0 + 0.5 = 0.5
    np.testing.assert_allclose(latent.l1(z, z_hat), [3.0, 0.5])
    # (1 + 4) / 2 = 2.5;  (0 + 0.25) / 2 = 0.125
    np.testing.assert_allclose(latent.squared_error(z, z_hat), [2.5, 0.125])
    # sqrt(1 + 4) = 2.2361;  sqrt(0 + 0.25) = 0.5
    np.testing.assert_allclose(latent.euclidean(z, z_hat), [2.236068, 0.5], rtol=1e-6)


@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 5)])
def test_agrees_with_numpy(loss, shape):
    a, b = np.random.default_rng(0).normal(size=(2, *shape))
    flat = zip(a.reshape(-1, shape[-1]), b.reshape(-1, shape[-1]), strict=True)
    expected = np.reshape([LOSSES[loss](x, y) for x, y in flat], shape[:-1])
    a, b = jnp.asarray(a, jnp.float32), jnp.asarray(b, jnp.float32)
    np.testing.assert_allclose(jax.jit(loss)(a, b), expected, rtol=1e-5)


def test_both_sides_receive_the_right_gradient(loss):
    a, b = jax.random.normal(jax.random.key(0), (2, 3, 4))
    check_grads(loss, (a, b), order=1, modes=["rev"], rtol=2e-2)


@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e10])
def test_gradients_are_finite_at_extremes(loss, scale):
    z = scale * jnp.ones((1, 4))
    gradients = jax.grad(lambda a, b: loss(a, b).sum(), (0, 1))(z, -z)
    assert all(jnp.isfinite(g).all() for g in gradients)


def test_refuses_other_shapes(loss):
    with pytest.raises(ValueError, match="equal shapes"):
        loss(jnp.zeros((2, 4)), jnp.zeros((2, 1)))


def test_equal_vectors_pull_in_no_direction():
    z = jnp.ones((2, 4))
    gradient = jax.grad(lambda a: latent.euclidean(a, z).sum())(z)
    np.testing.assert_array_equal(gradient, 0)
    np.testing.assert_allclose(latent.euclidean(z, z), 1e-6, rtol=1e-6)
    np.testing.assert_allclose(latent.euclidean(z, z, epsilon=4.0), 2.0)


def test_kl_is_the_expected_log_ratio_of_two_normals():
    # N(0.5, 4) from N(0, 1), by quadrature.
    x, step = np.linspace(-30, 30, 6001, retstep=True)
    log_p = -0.5 * ((x - 0.5) ** 2 / 4 + np.log(2 * np.pi * 4))
    log_q = -0.5 * (x**2 + np.log(2 * np.pi))
    expected = (np.exp(log_p) * (log_p - log_q)).sum() * step
    actual = latent.kl_standard_normal(jnp.array([0.5]), jnp.log(jnp.array([4.0])))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_kl_is_zero_at_the_standard_normal_alone():
    zero, some = jnp.zeros((1, 3)), jnp.full((1, 3), 1e-2)
    np.testing.assert_array_equal(latent.kl_standard_normal(zero, zero), 0)
    for mean, log_variance in [
        (some, zero),
        (-some, zero),
        (zero, some),
        (zero, -some),
    ]:
        assert (latent.kl_standard_normal(mean, log_variance) > 0).all()
