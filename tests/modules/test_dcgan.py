from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ocjax.modules import apply, dcgan


def _count(tree):
    return sum(x.size for x in jax.tree.leaves(tree))


def _shapes(module, *inputs):
    init = lambda: apply.init(module, jax.random.key(0), *inputs)
    return jax.eval_shape(init)[0]


@pytest.mark.parametrize(
    "channels, encoder, decoder, discriminator",
    [(1, 1_066_752, 1_066_880, 661_248), (3, 1_068_800, 1_068_928, 663_296)],
)
def test_parameter_counts_are_those_of_the_authors_code(
    channels, encoder, decoder, discriminator
):
    images, latents = jnp.zeros((1, 32, 32, channels)), jnp.zeros((1, 100))
    assert _count(_shapes(dcgan.Encoder(), images)) == encoder
    assert _count(_shapes(dcgan.Decoder(32, channels), latents)) == decoder
    assert _count(_shapes(dcgan.Encoder(outputs=1), images)) == discriminator


@pytest.mark.parametrize("size", [32, 64, 128])
def test_any_size_goes_down_to_a_vector_and_up_again(size):
    images = jnp.zeros((2, size, size, 3))
    encoder, decoder = dcgan.Encoder(5, features=2), dcgan.Decoder(size, 3, features=2)

    def networks():
        (z, features), _ = encoder.init_with_output(
            jax.random.key(0), images, train=True
        )
        return (
            z,
            features,
            decoder.init_with_output(jax.random.key(1), z, train=True)[0],
        )

    z, features, again = jax.eval_shape(networks)
    assert z.shape == (2, 5)
    assert features.shape == (2, 4 * 4 * 2 * size // 8)
    assert again.shape == images.shape


def test_weights_have_dcgans_spread():
    images = jnp.zeros((1, 32, 32, 1))
    params, _ = apply.init(dcgan.Encoder(), jax.random.key(0), images)
    kernel = params["Conv_1"]["kernel"]
    assert kernel.std() == pytest.approx(0.02, rel=0.05)
    scale = params["BatchNorm_0"]["scale"]
    assert scale.mean() == pytest.approx(1, abs=0.01)
    assert 0.01 < scale.std() < 0.03
    np.testing.assert_array_equal(params["BatchNorm_0"]["bias"], 0)


def test_images_of_a_decoder_lie_in_the_range_of_tanh():
    decoder = dcgan.Decoder(32, 1, features=2)
    params, stats = apply.init(decoder, jax.random.key(0), jnp.zeros((1, 3)))
    z = 100 * jax.random.normal(jax.random.key(1), (4, 3))
    x: Any = apply.infer(decoder, "decoder", {"decoder": params}, {"decoder": stats}, z)
    assert (jnp.abs(x) <= 1).all()


@pytest.mark.parametrize("shape", [(1, 28, 28, 1), (1, 32, 64, 1), (1, 48, 48, 1)])
def test_other_image_sizes_are_refused_by_name(shape):
    with pytest.raises(
        ValueError, match=f"side 32, 64, 128.*got {shape[1]}x{shape[2]}"
    ):
        _shapes(dcgan.Encoder(), jnp.zeros(shape))
