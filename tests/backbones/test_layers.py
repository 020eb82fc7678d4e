"""The convolution of frozen networks against loops, in every form."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ocjax.backbones import layers


def convolved(x, kernel, stride, before, shape, groups):
    """One number after another, in float64."""
    side, inputs = len(kernel), kernel.shape[2]
    outputs = kernel.shape[3] // groups
    y = np.zeros((len(x), *shape, kernel.shape[3]))
    for b, i, j, k, m, n in np.ndindex(*y.shape, side, side):
        row, column = i * stride + m - before[0], j * stride + n - before[1]
        if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
            start = k // outputs * inputs
            pixel = x[b, row, column, start : start + inputs]
            y[b, i, j, k] += pixel @ kernel[m, n, :, k]
    return y


@pytest.mark.parametrize("padding", ["tensorflow", "pytorch"])
@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("side", [1, 3, 5])
@pytest.mark.parametrize(("stride", "size"), [(1, (4, 3)), (2, (6, 5)), (2, (1, 2))])
def test_a_convolution_is_its_sum(padding, depthwise, side, stride, size):
    rng = np.random.default_rng(side)
    x = rng.normal(size=(2, *size, 3)).astype(np.float32)
    outputs, groups = (3, 3) if depthwise else (2, 1)
    kernel = rng.normal(size=(side, side, 3 // groups, outputs)).astype(np.float32)
    bias = rng.normal(size=outputs).astype(np.float32)
    module = layers.Convolution(outputs, side, stride, padding, depthwise)
    found = jax.jit(module.apply)({"params": {"kernel": kernel, "bias": bias}}, x)

    shape = tuple(-(-n // stride) for n in size)
    # TensorFlow adds what is missing, half of it, rounded down, before.
    missing = [
        max((m - 1) * stride + side - n, 0) for m, n in zip(shape, size, strict=True)
    ]
    before = [n // 2 for n in missing]
    if padding == "pytorch":
        before = [(side - 1) // 2] * 2
    expected = convolved(x, kernel, stride, before, shape, groups) + bias
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_both_forms_of_a_depthwise_convolution_are_equal(stride):
    rng = np.random.default_rng(0)
    x = jnp.float32(rng.normal(size=(2, 7, 6, 4)))
    kernel = jnp.float32(rng.normal(size=(5, 5, 1, 4)))
    pads = [(1, 2), (2, 1)]
    forms = [
        functools.partial(form, stride, pads)
        for form in (layers.shifted, layers.grouped)
    ]
    on_cpu, elsewhere = (form(x, kernel) for form in forms)
    np.testing.assert_allclose(on_cpu, elsewhere, atol=1e-5)
    # An attack follows the gradient of a score back to the image.
    cotangent = jnp.float32(rng.normal(size=on_cpu.shape))
    on_cpu, elsewhere = (
        jax.vjp(lambda x, form=form: form(x, kernel), x)[1](cotangent)[0]
        for form in forms
    )
    np.testing.assert_allclose(on_cpu, elsewhere, atol=1e-5)


def test_the_platform_decides_the_form():
    function = jax.jit(lambda x, k: layers.depthwise(x, k, 1, [(1, 1), (1, 1)]))
    traced = function.trace(jnp.zeros((1, 4, 4, 2)), jnp.zeros((3, 3, 1, 2)))
    grouped = lambda platform: (
        "stablehlo.convolution"
        in (traced.lower(lowering_platforms=(platform,)).as_text())
    )
    assert not grouped("cpu")
    assert grouped("cuda")


def test_windows_see_every_pixel_in_turn():
    x = jnp.arange(9.0).reshape(1, 3, 3, 1)
    views = layers.windows(x, 2, 2, [(0, 1), (0, 1)], jnp.float32(-1))
    seen = [np.asarray(view)[0, :, :, 0].tolist() for view in views]
    assert seen == [
        [[0, 2], [6, 8]],
        [[1, -1], [7, -1]],
        [[3, 5], [-1, -1]],
        [[4, -1], [-1, -1]],
    ]


def test_images_must_be_floats_of_one_or_three_channels():
    grey = np.full((2, 4, 5, 1), 0.5, np.float32)
    assert layers.coloured(grey).shape == (2, 4, 5, 3)
    assert layers.coloured(grey.astype(np.float16)).dtype == jnp.float32
    for shape in [(2, 4, 5), (2, 4, 5, 2), (2, 0, 5, 3), (4, 5, 3)]:
        with pytest.raises(ValueError, match="Expected images .B, H, W, 1 or 3."):
            layers.coloured(np.zeros(shape, np.float32))
    with pytest.raises(ValueError, match="Expected float images .*, got uint8"):
        layers.coloured(np.zeros((1, 4, 4, 3), np.uint8))
