import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocjax.data import images
from ocjax.data.images import moments


def test_to_float_by_hand():
    pixels = jnp.array([0, 51, 255], jnp.uint8)
    # 51 / 127.5 - 1 = 0.4 - 1 = -0.6
    np.testing.assert_allclose(images.to_float(pixels), [-1.0, -0.6, 1.0], rtol=1e-6)
    assert jax.jit(images.to_float)(pixels).dtype == jnp.float32


def test_every_byte_survives_the_way_to_float_and_back():
    pixels = jnp.arange(256, dtype=jnp.uint8)
    np.testing.assert_array_equal(images.to_uint8(images.to_float(pixels)), pixels)


def test_floats_pass_to_float_unchanged():
    floats = jnp.array([-1.0, 0.25, 1.0])
    assert images.to_float(floats) is floats


def test_to_float_refuses_other_integers():
    with pytest.raises(TypeError, match="uint8 or floating point, got int32"):
        images.to_float(jnp.zeros((1, 2, 2, 1), jnp.int32))


def test_to_uint8_clips():
    np.testing.assert_array_equal(images.to_uint8(np.array([-3.0, 3.0])), [0, 255])


def test_check_returns_bytes_as_they_are():
    pixels = np.zeros((2, 4, 5, 3), np.uint8)
    assert images.check(pixels) is pixels


@given(
    low=st.floats(-1e3, 1e3),
    width=st.floats(1e-2, 1e3),
    fraction=st.floats(0.0, 1.0),
)
def test_check_brings_any_stated_range_into_minus_one_to_one(low, width, fraction):
    low, high = np.float32(low), np.float32(low + width)
    middle = np.clip(low + np.float32(fraction) * (high - low), low, high)
    floats = np.array([low, middle, high], np.float32).reshape(1, 3, 1, 1)
    found = images.check(floats, value_range=(float(low), float(high)))
    assert found.dtype == np.float32
    assert found[0, 0, 0, 0] == -1.0 and found[0, 2, 0, 0] == 1.0
    assert -1.0 <= found[0, 1, 0, 0] <= 1.0


@pytest.mark.parametrize(
    "shape, hint",
    [
        ((5, 8, 8), r"pass `photos\[..., None\]`"),
        ((8, 8, 3), r"pass `photos\[None\]`"),
        ((5, 3, 8, 8), r"pass `photos.transpose\(0, 2, 3, 1\)`"),
        ((5, 8, 8, 2), r"got \[5, 8, 8, 2\]"),
        ((0, 8, 8, 1), r"got \[0, 8, 8, 1\]"),
        ((64,), r"got \[64\]"),
    ],
)
def test_check_says_how_to_mend_a_shape(shape, hint):
    with pytest.raises(ValueError, match=hint):
        images.check(np.zeros(shape, np.uint8), "photos")


def test_check_asks_for_the_range_of_floats():
    with pytest.raises(TypeError, match="got float64: state its `value_range`"):
        images.check(np.zeros((1, 2, 2, 1)))


@pytest.mark.parametrize(
    "value, value_range, message",
    [
        (np.nan, (0.0, 1.0), "got NaN or infinity"),
        (np.inf, (0.0, 1.0), "got NaN or infinity"),
        (1.5, (0.0, 1.0), r"in \[0.0, 1.0\], got values from 0.0 to 1.5"),
        (0.5, (1.0, 0.0), "to increase"),
    ],
)
def test_check_refuses_floats_that_are_not_in_their_range(value, value_range, message):
    floats = np.zeros((1, 2, 2, 1), np.float32)
    floats[0, 0, 0, 0] = value
    with pytest.raises(ValueError, match=message):
        images.check(floats, value_range=value_range)


def test_check_refuses_a_float_range_for_bytes():
    with pytest.raises(ValueError, match=r"mean \[0, 255\]"):
        images.check(np.zeros((1, 2, 2, 1), np.uint8), value_range=(0.0, 1.0))


def test_check_refuses_other_integers():
    with pytest.raises(TypeError, match="got int64"):
        images.check(np.zeros((1, 2, 2, 1), np.int64))


@pytest.mark.parametrize("channels", [1, 3])
def test_resize_by_hand(channels):
    pixels = np.array([[0, 100], [0, 100]], np.uint8)
    pixels = np.repeat(pixels[None, :, :, None], channels, axis=-1)
    # Centres of four columns lie at -1/4, 1/4, 3/4, 5/4 of the two; edges extend.
    expected = np.broadcast_to([0, 25, 75, 100], (4, 4))
    found = images.resize(pixels, 4)
    assert found.shape == (1, 4, 4, channels) and found.dtype == np.uint8
    np.testing.assert_array_equal(found[0, :, :, -1], expected)


def test_resize_to_the_same_size_returns_the_argument():
    pixels = np.zeros((2, 8, 8, 1), np.uint8)
    assert images.resize(pixels, 8) is pixels


def test_resize_refuses_a_size_of_zero():
    with pytest.raises(ValueError, match="at least 1"):
        images.resize(np.zeros((2, 8, 8, 1), np.uint8), 0)


@pytest.mark.parametrize("kind", ["uint8", "floats"])
def test_moments_are_those_of_the_rows_and_of_exact_sums(kind):
    rng = np.random.default_rng(0)
    pixels = rng.integers(30, 50, (2_000, 32, 32, 3), np.uint8)
    images = pixels if kind == "uint8" else (pixels / 127.5 - 1).astype(np.float32)
    rows = np.arange(0, 2_000, 2)
    mean, deviation = moments(images, rows, piece=300)
    np.testing.assert_allclose(mean, pixels[rows].mean((0, 1, 2)) / 255, rtol=1e-6)
    np.testing.assert_allclose(deviation, pixels[rows].std((0, 1, 2)) / 255, rtol=1e-6)
