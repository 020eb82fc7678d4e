import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from ocjax.losses import reconstruction

LOSSES = {
    reconstruction.l1: lambda a, b: np.mean(np.abs(a - b)),
    reconstruction.squared_error: lambda a, b: np.mean((a - b) ** 2),
}


@pytest.fixture(params=LOSSES, ids=lambda loss: loss.__name__)
def loss(request):
    return request.param


def test_l1_by_hand():
    images = jnp.zeros((2, 1, 2, 1))
    reconstructions = jnp.array([[[[1.0], [-3.0]]], [[[0.0], [0.5]]]])
    # (1 + 3) / 2 = 2;  (0 + 0.5) / 2 = 0.25
    np.testing.assert_allclose(reconstruction.l1(images, reconstructions), [2, 0.25])


def test_squared_error_by_hand():
    images = jnp.zeros((2, 1, 2, 1))
    reconstructions = jnp.array([[[[1.0], [-3.0]]], [[[0.0], [0.5]]]])
    # (1 + 9) / 2 = 5;  (0 + 0.25) / 2 = 0.125
    np.testing.assert_allclose(
        reconstruction.squared_error(images, reconstructions), [5, 0.125]
    )


@pytest.mark.parametrize("shape", [(8, 8, 1), (3, 8, 8, 1), (2, 3, 4, 5, 3)])
def test_agrees_with_numpy(loss, shape):
    a, b = np.random.default_rng(0).normal(size=(2, *shape))
    flat = zip(a.reshape(-1, *shape[-3:]), b.reshape(-1, *shape[-3:]), strict=True)
    expected = np.reshape([LOSSES[loss](x, y) for x, y in flat], shape[:-3])
    a, b = jnp.asarray(a, jnp.float32), jnp.asarray(b, jnp.float32)
    np.testing.assert_allclose(jax.jit(loss)(a, b), expected, rtol=1e-5)


def test_gradients_are_right(loss):
    a, b = jax.random.normal(jax.random.key(0), (2, 2, 3, 3, 1))
    check_grads(loss, (a, b), order=1, modes=["rev"], rtol=2e-2)


@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e10])
def test_gradients_are_finite_at_extremes(loss, scale):
    a = scale * jnp.ones((1, 2, 2, 1))
    gradients = jax.grad(lambda a, b: loss(a, b).sum(), (0, 1))(a, -a)
    assert all(jnp.isfinite(g).all() for g in gradients)


def test_zero_only_for_equal_images(loss):
    a = jax.random.normal(jax.random.key(0), (3, 4, 4, 3))
    np.testing.assert_array_equal(loss(a, a), 0)
    assert (loss(a, a.at[:, 0, 0, 0].add(1.0)) > 0).all()


def test_refuses_other_shapes_and_integers(loss):
    a = jnp.zeros((2, 8, 8, 1))
    with pytest.raises(ValueError, match=r"equal shapes, got .*\(2, 8, 8, 3\)"):
        loss(a, jnp.zeros((2, 8, 8, 3)))
    with pytest.raises(TypeError, match="`images` to be floating point, got uint8"):
        loss(a.astype(jnp.uint8), a)
