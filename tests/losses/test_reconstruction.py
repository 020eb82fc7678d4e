import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads
from skimage.metrics import structural_similarity

from ocjax.losses import reconstruction

LOSSES = {
    reconstruction.l1: lambda a, b: np.mean(np.abs(a - b)),
    reconstruction.squared_error: lambda a, b: np.mean((a - b) ** 2),
    reconstruction.squared_over_variance: lambda a, b: (
        np.mean((a - b) ** 2) / (np.var(a) + 1e-3)
    ),
}


@pytest.fixture(params=LOSSES, ids=lambda loss: loss.__name__)
def loss(request):
    return request.param


def test_l1_by_hand():
    images = jnp.zeros((2, 1, 2, 1))
    reconstructions = jnp.array([[[[1.0], [-3.0]]], [[[0.0], [0.5]]]])
    # (1 + 3) / 2 = 2;  (0 + 0.5) / 2 = 0.25
    np.testing.assert_allclose(reconstruction.l1(images, reconstructions), [2, 0.25])
    np.testing.assert_allclose(
        reconstruction.l1(images, reconstructions, "sum"), [4, 0.5]
    )


def test_squared_error_by_hand():
    images = jnp.zeros((2, 1, 2, 1))
    reconstructions = jnp.array([[[[1.0], [-3.0]]], [[[0.0], [0.5]]]])
    # (1 + 9) / 2 = 5;  (0 + 0.25) / 2 = 0.125
    np.testing.assert_allclose(
        reconstruction.squared_error(images, reconstructions), [5, 0.125]
    )
    np.testing.assert_allclose(
        reconstruction.squared_error(images, reconstructions, "sum"), [10, 0.25]
    )


def test_squared_error_over_variance_by_hand():
    images = jnp.array([[[[1.0], [-3.0]]], [[[0.5], [0.5]]]])
    reconstructions = jnp.array([[[[0.0], [-1.0]]], [[[0.5], [0.6]]]])
    # (1 + 4) / 2 = 2.5 over 4 + 1;  (0 + 0.01) / 2 = 0.005 over 0 + 1.
    np.testing.assert_allclose(
        reconstruction.squared_over_variance(images, reconstructions, 1.0),
        [0.5, 0.005],
        rtol=1e-5,
    )


def test_squared_error_over_variance_asks_for_no_contrast():
    images = jax.random.uniform(jax.random.key(0), (2, 8, 8, 1), minval=-1)
    mean = jnp.broadcast_to(images.mean((1, 2, 3), keepdims=True), images.shape)
    compare = functools.partial(reconstruction.squared_over_variance, epsilon=1e-9)
    for contrast in (1.0, 0.1):
        # One grey level explains nothing of an image, however faint that is.
        np.testing.assert_allclose(compare(contrast * images, contrast * mean), 1, 1e-4)


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


@pytest.mark.parametrize("loss", [reconstruction.l1, reconstruction.squared_error])
def test_refuses_an_unknown_reduction(loss):
    a = jnp.zeros((2, 8, 8, 1))
    with pytest.raises(ValueError, match="reduction 'summ'.*did you mean 'sum'"):
        loss(a, a, "summ")


def _pairs(shape):
    """Images in [0, 1] and likenesses: noise, a gradient, bright, flat, a square."""
    rng = np.random.default_rng(0)
    ramp = np.broadcast_to(np.linspace(0, 1, shape[1])[:, None], shape)
    square = np.zeros(shape)
    square[3:7, 5:9] = 1
    images = [rng.uniform(size=shape), ramp, 1 - 0.1 * square, np.full(shape, 0.9)]
    noise = rng.normal(0, 0.05, size=(4, *shape))
    likenesses = [*np.clip(images[:3] + noise[:3], 0, 1), np.full(shape, 0.8)]
    return np.stack([*images, square]), np.stack([*likenesses, square**2 + noise[3]])


@pytest.mark.parametrize("shape", [(11, 14, 1), (16, 16, 3)])
@pytest.mark.parametrize("data_range", [1.0, 2.0])
@pytest.mark.parametrize("sample_covariance", [True, False])
def test_ssim_agrees_with_scikit_image(shape, data_range, sample_covariance):
    pairs = _pairs(shape)
    expected = [
        structural_similarity(
            a,
            b,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=sample_covariance,
            data_range=data_range,
            channel_axis=-1,
        )
        for a, b in zip(*pairs, strict=True)
    ]
    a, b = (jnp.asarray(images, jnp.float32) for images in pairs)
    actual = reconstruction.ssim(
        a, b, data_range=data_range, sample_covariance=sample_covariance
    )
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)


SSIM = jax.jit(reconstruction.ssim)
IMAGES = jax.random.uniform(jax.random.key(0), (3, 12, 12, 2))


def test_ssim_of_flat_images_by_hand():
    a, b = jnp.full((12, 12, 1), 0.2), jnp.full((12, 12, 1), 0.6)
    # (2 * 0.2 * 0.6 + 0.01^2) / (0.2^2 + 0.6^2 + 0.01^2) = 0.2401 / 0.4001 = 0.60010
    np.testing.assert_allclose(reconstruction.ssim(a, b), 0.600100, rtol=1e-5)


@settings(deadline=None)  # The first example compiles.
@given(st.integers(0, 2**31 - 1), st.floats(-1, 2, width=32))
def test_ssim_is_symmetric_and_at_most_one(seed, mix):
    a, b = np.random.default_rng(seed).uniform(size=(2, 3, 12, 12, 2))
    a, b = np.float32(a), np.float32(np.clip(mix * a + (1 - mix) * b, 0, 1))
    values = SSIM(a, b)
    np.testing.assert_allclose(values, SSIM(b, a), rtol=1e-5)
    assert (values <= 1 + 1e-6).all()
    np.testing.assert_allclose(SSIM(a, a), 1, rtol=1e-6)


def test_ssim_falls_with_noise():
    noise = jax.random.normal(jax.random.key(1), IMAGES.shape)
    values = [SSIM(IMAGES, IMAGES + scale * noise) for scale in (0.0, 0.1, 0.3, 1.0)]
    assert (np.diff(values, axis=0) < 0).all()


@pytest.mark.parametrize("scale", [0.0, 1e-20, 1.0])
def test_ssim_has_the_right_gradient(scale):
    a, b = scale * IMAGES[:1], scale * (1 - IMAGES[:1])
    gradients = jax.grad(lambda a, b: SSIM(a, b).sum(), (0, 1))(a, b)
    assert all(jnp.isfinite(g).all() for g in gradients)
    if scale == 1.0:
        check_grads(SSIM, (a, b), order=1, modes=["rev"], rtol=2e-2)


def test_ssim_never_rounds_its_moments_on_an_accelerator():
    jaxpr = str(jax.make_jaxpr(reconstruction.ssim)(IMAGES, IMAGES))
    products = jaxpr.count("dot_general")
    assert products and jaxpr.count("precision=(Precision.HIGHEST") == products


def test_ssim_refuses_images_smaller_than_its_window():
    for shape in [(10, 11, 1), (11, 10, 1)]:
        with pytest.raises(ValueError, match="at least 11x11 pixels.*got 1[01]x1[01]"):
            reconstruction.ssim(jnp.zeros(shape), jnp.zeros(shape))
    with pytest.raises(ValueError, match="at least 15x15"):
        reconstruction.ssim(jnp.zeros((14, 14, 1)), jnp.zeros((14, 14, 1)), sigma=2.0)
