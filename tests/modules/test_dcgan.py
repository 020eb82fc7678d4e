import functools
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


def test_parameter_counts_of_the_variants_by_hand():
    images, latents = jnp.zeros((1, 32, 32, 1)), jnp.zeros((1, 100))
    head = 4 * 4 * 256
    stochastic = 1_066_752 - 100 * head + 2 * 32 * head
    assert _count(_shapes(dcgan.StochasticEncoder(32), images)) == stochastic
    assert _count(_shapes(dcgan.Discriminator(), images)) == 1_066_752 + 100
    # C -> C / 16 -> C with biases, at 64, 128 and 256 channels.
    attention = sum(c * c // 16 * 2 + c // 16 + c for c in (64, 128, 256))
    encoder, decoder = dcgan.Encoder(attention=16), dcgan.Decoder(32, 1, attention=16)
    assert _count(_shapes(encoder, images)) == 1_066_752 + attention
    assert _count(_shapes(decoder, latents)) == 1_066_880 + attention


def test_a_norm_of_the_first_stage_is_one_more_and_ignores_contrast():
    images = jax.random.normal(jax.random.key(0), (4, 32, 32, 1))
    plain, normed = dcgan.Encoder(3, 2), dcgan.Encoder(3, 2, norm_first=True)
    scale_and_bias = 2 + 2
    assert _count(_shapes(normed, images)) == _count(_shapes(plain, images)) + (
        scale_and_bias
    )

    @functools.partial(jax.jit, static_argnums=0)
    def moved(encoder, images):
        """How far outputs go when a batch is given ten times the contrast."""
        params = encoder.init(jax.random.key(1), images, train=True)["params"]
        encode = lambda x: encoder.apply(
            {"params": params}, x, train=True, mutable=["batch_stats"]
        )[0][0]
        return jnp.abs(encode(images) - encode(10 * images)).max()

    assert moved(normed, images) < 0.05 * moved(plain, images)


@pytest.mark.parametrize("size", [32, 64])
def test_the_variants_shapes(size):
    images = jnp.zeros((2, size, size, 3))

    def networks():
        modules = dcgan.StochasticEncoder(5, 2), dcgan.Discriminator(7, 2)
        key = jax.random.key(0)
        return [m.init_with_output(key, images, train=True)[0] for m in modules]

    (mean, log_variance, feature_map), (logits, features) = jax.eval_shape(networks)
    assert mean.shape == log_variance.shape == (2, 5)
    assert feature_map.shape == (2, size // 4, size // 4, 4)
    assert (logits.shape, features.shape) == ((2,), (2, 7))


def test_attention_weighs_every_stage_but_not_the_ends():
    encoder = dcgan.Encoder(3, 2, attention=2)
    decoder = dcgan.Decoder(32, 1, 2, attention=2)
    images = jnp.zeros((2, 32, 32, 1))

    def sown(module, x):
        """Shapes of the attention of each stage, in their order."""
        variables = module.init(jax.random.key(1), x, train=True)
        _, kept = module.apply(
            {"params": variables["params"], "batch_stats": variables["batch_stats"]},
            x,
            train=False,
            mutable=["intermediates"],
        )
        return kept["intermediates"]

    def shapes(module, x):
        kept = jax.eval_shape(lambda: sown(module, x))
        stages = [f"ChannelAttention_{i}" for i in range(3)]
        assert set(kept) == set(stages)
        return [kept[stage]["attention"][0].shape for stage in stages]

    assert shapes(encoder, images) == [(2, 2), (2, 4), (2, 8)]
    assert shapes(decoder, jnp.zeros((2, 3))) == [(2, 8), (2, 4), (2, 2)]


def test_a_stochastic_encoders_heads_read_what_the_encoder_reads():
    images = jax.random.normal(jax.random.key(0), (2, 32, 32, 1))
    stochastic, plain = dcgan.StochasticEncoder(3, 2), dcgan.Encoder(3, 2)

    @jax.jit
    def run(images):
        params, stats = apply.init(stochastic, jax.random.key(1), images)
        stats = {"net": stats}
        *heads, _ = apply.infer(stochastic, "net", {"net": params}, stats, images)
        plainly = []
        for head in ("mean", "log_variance"):
            renamed = {**params, "Conv_3": params[head]}
            z, _ = apply.infer(plain, "net", {"net": renamed}, stats, images)
            plainly.append(z)
        return heads, plainly

    for actual, expected in zip(*run(images), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-7)
