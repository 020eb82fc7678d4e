from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from ocjax.modules import apply, axis, splitting

IMAGES = jax.random.uniform(jax.random.key(0), (4, 32, 32, 1))
Z = jax.random.normal(jax.random.key(1), (2, 3, 5))


def _count(module, *inputs):
    init = lambda: apply.init(module, jax.random.key(0), *inputs)[0]
    return sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(init)))


def test_parameter_counts_by_hand():
    images, z = jnp.zeros((1, 32, 32, 3)), jnp.zeros((1, 128))
    # Kernels of a block: inputs * f + f * f; it gives 2 f channels.
    down = 3 * 8 + 8 * 8 + 2 * (16 * 16 + 32 * 32 + 64 * 64)
    up = 128 * 32 + 32 * 32 + 64 * 32 + 32 * 32 + 64 * 16 + 16 * 16 + 32 * 8 + 8 * 8
    norms = 2 * (16 + 32 + 64 + 128 + 128 + 64 + 64 + 32 + 16)
    biased = (128 + 1) * 128 + 9 * 16 * 3 + 3
    autoencoder = 9 * (down + up) + norms + biased
    assert _count(splitting.SplittingAutoencoder(), images) == autoencoder
    blocks = 3 * 16 + 16 * 16 + 2 * (32 * 32 + 64 * 64 + 128 * 128)
    norms = 2 * (32 + 64 + 128 + 256 + 512)
    dense = (2 * 2 * 512 + 1) * 256 + (256 + 1) * 128
    backbone = 9 * blocks + 256 * 512 + norms + dense
    assert _count(splitting.Backbone(), images) == backbone
    assert _count(splitting.Classifier(), z) == 129
    assert _count(splitting.Distance(), z, z) == 129


@pytest.mark.parametrize("shape", [(2, 32, 32, 3), (2, 64, 64, 1)])
def test_shapes_at_any_size(shape):
    images = jnp.zeros(shape)

    def run():
        key = jax.random.key(0)
        modules = splitting.SplittingAutoencoder(20, 0.1), splitting.Backbone(7, 0.1)
        return [m.init_with_output(key, images, train=False)[0] for m in modules]

    (x_hat, latents), z = jax.eval_shape(run)
    assert x_hat.shape == shape
    assert latents.shape == (2, 20 * (shape[1] // 32) ** 2)
    assert z.shape == (2, 7)


def test_the_autoencoder_starts_near_grey_within_the_range():
    module = splitting.SplittingAutoencoder(8, 0.1)

    @jax.jit
    def run(images):
        params, stats = apply.init(module, jax.random.key(0), images)
        networks = {"net": params}, {"net": stats}
        return apply.infer(module, "net", *networks, images)[0], params

    x_hat, params = run(IMAGES)
    np.testing.assert_allclose(x_hat, jnp.full_like(IMAGES, 0.5), atol=0.1)
    kernel = params["Conv_0"]["kernel"]
    assert jnp.abs(kernel).max() <= 0.02  # Cut off at two deviations of 0.01.


def test_doubling_is_the_transpose_of_a_strided_convolution_with_same_padding():
    x = jax.random.normal(jax.random.key(0), (2, 3, 3, 4))

    class Doubled(nn.Module):
        @nn.compact
        def __call__(self, x):
            return splitting._double(x, 5)

    made: Any = Doubled().init_with_output(jax.random.key(1), x)
    y, variables = made
    kernel = variables["params"]["ConvTranspose_0"]["kernel"].reshape(4, 3, 3, 5)

    def convolve(larger):
        numbers = ("NHWC", "OHWI", "NHWC")
        return lax.conv_general_dilated(
            larger, kernel, (2, 2), "SAME", dimension_numbers=numbers
        )

    (expected,) = jax.linear_transpose(convolve, jnp.zeros((2, 6, 6, 5)))(x)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-7)


def test_parts_of_a_batch_give_the_features_of_the_whole():
    backbone = splitting.Backbone(7, 0.1)
    shapes, _ = jax.eval_shape(lambda: apply.init(backbone, jax.random.key(0), IMAGES))
    draw = np.random.default_rng(0).normal
    params = jax.tree.map(lambda leaf: np.float32(draw(size=leaf.shape)), shapes)

    @jax.jit
    def run(params, images):
        networks = {"net": params}, {"net": {}}

        def train(x):
            return apply.train(backbone, "net", *networks, x, key=jax.random.key(1))[0]

        together = jax.vmap(train, axis_name=axis.NAME)
        split = images.reshape(2, 2, *images.shape[1:])
        return together(split).reshape(4, 7), train(images)

    z_parts, z = run(params, IMAGES)
    np.testing.assert_allclose(z_parts, z, rtol=1e-3, atol=1e-3 * float(z.std()))
    assert len(np.unique(np.asarray(z))) > 20


@pytest.mark.parametrize(
    "kind, expected",
    # d = (1, -2), w = (3, 5), b = 0.5: 3 - 10, 3 + 10 and 3 + 20, plus b
    [("signed", -6.5), ("abs", 13.5), ("square", 23.5)],
)
def test_distances_by_hand(kind, expected):
    dense = {"kernel": jnp.array([[3.0], [5.0]]), "bias": jnp.array([0.5])}
    params = {"Dense_0": dense}
    z_i, z_j = jnp.array([[2.0, 1.0]]), jnp.array([[1.0, 3.0]])
    logits: Any = splitting.Distance(kind).apply({"params": params}, z_i, z_j)
    np.testing.assert_allclose(logits, [expected], rtol=1e-6)


@pytest.mark.parametrize("kind", ["signed", "abs", "square"])
def test_only_the_signed_distance_depends_on_the_order(kind):
    made: Any = splitting.Distance(kind).init_with_output(jax.random.key(0), *Z)
    there, variables = made
    back: Any = splitting.Distance(kind).apply(variables, *Z[::-1])
    # The bias starts at 0.
    np.testing.assert_allclose(back, -there if kind == "signed" else there, rtol=1e-6)


def test_an_unknown_distance_is_refused_by_name():
    with pytest.raises(ValueError, match="'squared'.*did you mean 'square'"):
        splitting.Distance("squared").init(jax.random.key(0), *Z)
