"""The matrix form of convolutions against `lax`, for every geometry in use."""

import functools
import importlib.util
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from ocjax import _checks
from ocjax.modules import conv as conv_lib
from ocjax.modules import layers, products
from ocjax.modules.products import Geometry

GEOMETRIES = [
    Geometry(k, s, p)
    for k, s in itertools.product((1, 2, 3, 4, 5), (1, 2))
    for p in {0, k // 2}
]


def _reference_conv(x, hwio, g):
    return lax.conv_general_dilated(
        x,
        hwio,
        (g.stride,) * 2,
        [(g.padding,) * 2] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def _reference_conv_transpose(x, hwio, g):
    """Transposed convolution, by definition the gradient of a convolution."""
    height, width = map(g.larger, x.shape[1:3])
    larger = jnp.zeros((len(x), height, width, hwio.shape[2]), x.dtype)
    return jax.linear_transpose(lambda z: _reference_conv(z, hwio, g), larger)(x)[0]


def _inputs(geometry, size, channels, features):
    keys = jax.random.split(jax.random.key(0), 2)
    x = jax.random.normal(keys[0], (2, *size, channels))
    kernel = jax.random.normal(keys[1], (features, geometry.kernel**2 * 3))
    return x, kernel


def _assert_close(actual, expected):
    scale = float(jnp.abs(expected).max())
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5 * scale)


def _compare(function, reference, x, kernel, geometry, form=None):
    """Value and both gradients of `function` equal those of `reference`."""

    def expected(x, kernel):
        return reference(x, conv_lib.to_hwio(kernel, geometry.kernel), geometry)

    y, pull = jax.vjp(jax.jit(lambda x, k: function(x, k, geometry, form)), x, kernel)
    y_expected, pull_expected = jax.vjp(jax.jit(expected), x, kernel)
    _assert_close(y, y_expected)
    dy = jax.random.normal(jax.random.key(1), y.shape)
    for actual, wanted in zip(pull(dy), pull_expected(dy), strict=True):
        _assert_close(actual, wanted)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_conv_and_its_gradients_equal_lax(geometry):
    x, kernel = _inputs(geometry, (7, 6), channels=3, features=5)
    _compare(conv_lib.conv, _reference_conv, x, kernel, geometry)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_conv_transpose_and_its_gradients_equal_lax(geometry):
    x, kernel = _inputs(geometry, (7, 6), channels=5, features=5)
    _compare(conv_lib.conv_transpose, _reference_conv_transpose, x, kernel, geometry)


def _fitting(form, geometry):
    """Two sides of images that can be convolved in a form, if there are any."""
    image = lambda size: jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)
    fit = [n for n in range(5, 11) if products.fits(form, geometry, image(n))]
    return fit[:2]


@pytest.mark.parametrize(
    ("form", "geometry"),
    [
        (form, geometry)
        for form in products.FORMS[1:]
        for geometry in [*GEOMETRIES, Geometry(6, 2, 2)]
        if len(_fitting(form, geometry)) == 2
    ],
    ids=str,
)
@pytest.mark.parametrize("function", [conv_lib.conv, conv_lib.conv_transpose])
def test_every_form_equals_lax(function, form, geometry):
    size = _fitting(form, geometry)
    x, kernel = _inputs(geometry, size, 3, 5)
    reference = _reference_conv
    if function is conv_lib.conv_transpose:
        size = [geometry.smaller(n) for n in size]
        x, _ = _inputs(geometry, size, 5, 5)
        reference = _reference_conv_transpose
    _compare(function, reference, x, kernel, geometry, form)


def test_forms_are_those_that_suit_the_layer():
    def form(geometry, size, channels, features, dtype=jnp.float32):
        images = jax.ShapeDtypeStruct((64, size, size, channels), dtype)
        return products.choose(geometry, images, features)

    down, same = Geometry(4, 2, 1), Geometry(3, 1, 1)
    assert form(down, 16, 64, 128) == "filtering"
    assert form(down, 32, 1, 64) == "patches"  # Few channels.
    assert form(down, 2, 512, 512) == "patches"  # To one pixel.
    assert form(down, 16, 8, 16) == "patches"  # Little to save.
    assert form(down, 16, 16, 32) == "filtering"
    assert form(down, 16, 64, 128, jnp.bfloat16) == "patches"
    assert form(same, 32, 8, 8) == "blocks"
    assert form(same, 8, 32, 16) == "patches"
    assert form(same, 32, 16, 1) == "pixels"
    assert form(same, 8, 192, 128) == "filtering"
    assert form(Geometry(1, 1, 0), 8, 192, 128) == "patches"


@pytest.mark.parametrize("form", products.FORMS)
def test_a_convolution_by_hand(form):
    # A row of a 3x3 image is 3 more than the one above it.
    x = jnp.arange(9.0).reshape(1, 3, 3, 1)
    kernel = jnp.array([[1.0, 10.0, 100.0, 1000.0]])
    y = conv_lib.conv(x, kernel, Geometry(2, 1, 0), form)
    expected = [
        [0 + 10 * 1 + 100 * 3 + 1000 * 4, 1 + 10 * 2 + 100 * 4 + 1000 * 5],
        [3 + 10 * 4 + 100 * 6 + 1000 * 7, 4 + 10 * 5 + 100 * 7 + 1000 * 8],
    ]
    np.testing.assert_array_equal(y[0, :, :, 0], expected)


def _autoencoder(params, x, form):
    """Down by 2 and by 4 and up again, normalized between."""
    down, up, last = Geometry(4, 2, 1), Geometry(4, 2, 1), Geometry(4, 1, 0)
    y = conv_lib.conv(x, params["down"], down, form)
    places = {"axis": (0, 1, 2), "keepdims": True}
    y = jax.nn.leaky_relu((y - y.mean(**places)) / y.std(**places))
    y = conv_lib.conv(y, params["last"], last, form)
    y = jax.nn.relu(conv_lib.conv_transpose(y, params["last"], last, form))
    return jnp.tanh(conv_lib.conv_transpose(y, params["up"], up, form))


def test_a_network_has_the_same_gradient_in_all_forms():
    # In double precision: normalizing would amplify the rounding of single precision.
    with jax.enable_x64(True):
        normal = lambda i, *shape: jax.random.normal(
            jax.random.key(i), shape, jnp.float64
        )
        x = normal(0, 4, 8, 8, 3)
        params = {
            "down": normal(1, 5, 4 * 4 * 3),
            "last": normal(2, 6, 4 * 4 * 5),
            "up": normal(3, 5, 4 * 4 * 3),
        }
        loss = lambda params, form: jnp.square(_autoencoder(params, x, form) - x).sum()
        gradients = {
            form: jax.jit(jax.grad(loss), static_argnums=1)(params, form)
            for form in ("lax", *products.FORMS)
        }
        close = functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-12)
        for gradient in gradients.values():
            jax.tree.map(close, gradient, gradients["lax"])


def test_a_form_that_is_none_is_refused_by_name():
    x, kernel = _inputs(Geometry(3, 1, 1), (4, 4), 3, 3)
    for function in (conv_lib.conv, conv_lib.conv_transpose):
        with pytest.raises(_checks.InputError, match="did you mean 'patches'"):
            function(x, kernel, Geometry(3, 1, 1), "patch")


def _imported_anew():
    """The module as a process would import it in today's environment."""
    spec = importlib.util.find_spec("ocjax.modules.conv")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_environment_names_the_form_of_all_that_name_none(monkeypatch):
    geometry = Geometry(3, 1, 1)
    x, kernel = _inputs(geometry, (4, 4), 3, 3)

    def convolutions(module, function, *form):
        function = getattr(module, function)
        lowered = jax.jit(lambda x, k: function(x, k, geometry, *form)).lower(x, kernel)
        return lowered.as_text().count("stablehlo.convolution")

    monkeypatch.setenv("OCJAX_CONVOLUTIONS", "lax")
    module = _imported_anew()
    for function in ("conv", "conv_transpose"):
        assert convolutions(module, function) == 1
        assert convolutions(module, function, "patches") == 0
        assert convolutions(conv_lib, function) == 0  # Imported before.
    monkeypatch.setenv("OCJAX_CONVOLUTIONS", "")
    assert convolutions(_imported_anew(), "conv") == 0
    monkeypatch.setenv("OCJAX_CONVOLUTIONS", "cudnn")
    with pytest.raises(_checks.InputError, match="OCJAX_CONVOLUTIONS 'cudnn'"):
        _imported_anew().conv(x, kernel, geometry)


@pytest.mark.parametrize("geometry", [Geometry(4, 2, 1), Geometry(4, 1, 0)], ids=str)
@pytest.mark.parametrize("function", [conv_lib.conv, conv_lib.conv_transpose])
def test_the_accelerator_form_equals_the_cpu_form(function, geometry):
    x, kernel = _inputs(geometry, (8, 8), 3, 5)
    if function is conv_lib.conv_transpose:
        x = jnp.concatenate([x, x[..., :2]], axis=-1)
    y, pull = jax.vjp(lambda x, k: function(x, k, geometry), x, kernel)
    on_lax = lambda x, k: function(x, k, geometry, "lax")
    y_lax, pull_lax = jax.vjp(on_lax, x, kernel)
    _assert_close(y, y_lax)
    jax.tree.map(_assert_close, pull(y), pull_lax(y))


@pytest.mark.parametrize("function", [conv_lib.conv, conv_lib.conv_transpose])
def test_vmap_over_models_equals_one_model_at_a_time(function):
    geometry = Geometry(4, 2, 1)
    x, kernel = _inputs(geometry, (8, 8), 5 if "trans" in function.__name__ else 3, 5)
    xs, kernels = jnp.stack([x, 2 * x, -x]), jnp.stack([kernel, -kernel, 3 * kernel])

    def gradients(x, kernel):
        return jax.grad(lambda *a: (function(*a, geometry) ** 2).sum(), (0, 1))(
            x, kernel
        )

    together = jax.jit(jax.vmap(gradients))(xs, kernels)
    for i in range(3):
        alone = gradients(xs[i], kernels[i])
        jax.tree.map(lambda t, a, i=i: _assert_close(t[i], a), together, alone)


@pytest.mark.parametrize("function", [conv_lib.conv, conv_lib.conv_transpose])
def test_gradient_inside_a_scan_equals_gradient_outside(function):
    geometry = Geometry(3, 1, 1)
    x, kernel = _inputs(geometry, (6, 6), 3, 3)

    def step(kernel, x):
        loss = lambda k: (function(x, k, geometry) ** 2).mean()
        return kernel - 0.1 * jax.grad(loss)(kernel), None

    scanned, _ = jax.jit(lambda k: lax.scan(step, k, jnp.stack([x, x, x])))(kernel)
    for _ in range(3):
        kernel, _ = step(kernel, x)
    _assert_close(scanned, kernel)


@pytest.mark.parametrize(
    "platform, convolutions", [("cpu", 0), ("cuda", 0), ("tpu", 3)]
)
@pytest.mark.parametrize("function", [conv_lib.conv, conv_lib.conv_transpose])
def test_each_platform_has_its_form(function, platform, convolutions):
    geometry = Geometry(4, 2, 1)
    x, kernel = _inputs(geometry, (8, 8), 5 if "trans" in function.__name__ else 3, 5)

    def train(x, kernel):
        y, pull = jax.vjp(lambda x, k: function(x, k, geometry), x, kernel)
        return pull(y)

    traced = jax.jit(train).trace(x, kernel)
    program = traced.lower(lowering_platforms=(platform,)).as_text()
    assert program.count("stablehlo.convolution") == convolutions
    assert program.count("stablehlo.dot_general") == 3 - convolutions


@pytest.mark.parametrize("function", [conv_lib.conv, conv_lib.conv_transpose])
def test_bfloat16_is_near_float32_in_both_forms(function):
    geometry = Geometry(4, 2, 1)
    x, kernel = _inputs(geometry, (8, 8), 5 if "trans" in function.__name__ else 3, 5)
    half = lambda a: a.astype(jnp.bfloat16)
    single = lambda a: half(a).astype(jnp.float32)  # The same numbers.
    y, pull = jax.vjp(lambda x, k: function(x, k, geometry), single(x), single(kernel))
    dy = jax.random.normal(jax.random.key(1), y.shape)
    expected = y, *pull(single(dy))
    for form in ("patches", "lax"):
        in_form = lambda x, k, form=form: function(x, k, geometry, form)
        y, pull = jax.vjp(in_form, half(x), half(kernel))
        for actual, wanted in zip((y, *pull(half(dy))), expected, strict=True):
            assert actual.dtype == jnp.bfloat16
            # One rounding of the sum: eight bits.
            far = jnp.abs(actual - wanted).max() / jnp.abs(wanted).max()
            assert far < 2**-8


@pytest.mark.parametrize(
    "layer",
    [layers.Conv(2, kernel=1, use_bias=True), layers.Dense(2)],
    ids=["conv", "dense"],
)
def test_a_layer_of_bfloat16_adds_the_gradient_of_its_bias_up_in_float32(layer):
    x = jnp.zeros((2, 32, 32, 3), jnp.bfloat16)
    params = layer.init(jax.random.key(0), x)
    assert layer.apply(params, x).dtype == jnp.bfloat16
    gradients = jax.grad(lambda p: layer.apply(p, x).astype(jnp.float32).sum())(params)
    # One from each place; added up in bfloat16, a sum of 256 grows no more.
    np.testing.assert_array_equal(gradients["params"]["bias"], 2 * 32 * 32)


def test_overlap_add_by_hand():
    # Two patches of side 2 at stride 1 over a row of 3: the middle column is shared.
    y = jnp.arange(8.0).reshape(1, 1, 2, 4)  # (0 1 / 2 3) and (4 5 / 6 7)
    image = products.overlap_add(y, Geometry(2, 1, 0), 2, 3)
    np.testing.assert_array_equal(image[0, :, :, 0], [[0, 1 + 4, 5], [2, 3 + 6, 7]])


def test_kernels_go_to_hwio_and_back():
    kernel = jax.random.normal(jax.random.key(0), (5, 4 * 4 * 3))
    hwio = conv_lib.to_hwio(kernel, 4)
    assert hwio.shape == (4, 4, 3, 5)
    np.testing.assert_array_equal(conv_lib.from_hwio(hwio), kernel)


def test_a_layer_has_the_shapes_and_parameters_of_its_kind():
    x = jnp.zeros((2, 8, 8, 3))
    down = layers.Conv(5, kernel=4, stride=2, padding=1, use_bias=True)
    y, variables = down.init_with_output(jax.random.key(0), x)
    assert y.shape == (2, 4, 4, 5)
    assert jax.tree.map(jnp.shape, variables["params"]) == {
        "kernel": (5, 48),
        "bias": (5,),
    }
    up = layers.ConvTranspose(3, kernel=4, stride=2, padding=1)
    assert up.init_with_output(jax.random.key(0), y)[0].shape == (2, 8, 8, 3)
