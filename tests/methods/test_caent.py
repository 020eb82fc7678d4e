import functools
import math
import re

import gradients
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ocjax.methods.caent import Config, caent
from ocjax.modules import apply, dcgan

TINY = functools.partial(Config, latent=3, features=2)
IMAGES = jax.random.uniform(jax.random.key(0), (8, 32, 32, 1), minval=-1)
GENERATOR = {"encoder", "decoder"}
REACHED = {
    "w_adv": GENERATOR | {"discriminator"},
    "w_con": GENERATOR,
    "w_fea": GENERATOR | {"discriminator"},
    "w_inf": {"encoder"},
}


@pytest.fixture(scope="module")
def state():
    return jax.jit(caent(TINY()).init)(jax.random.key(1), IMAGES)


@jax.jit
def _weighted(state, weights):
    return gradients.of_generator(caent(TINY(**weights)), state, IMAGES)


@pytest.mark.parametrize("term", REACHED)
def test_each_term_of_the_generator_reaches_its_networks(state, term):
    *_, found = _weighted(state, gradients.only(term, REACHED))
    assert gradients.reached(found) == REACHED[term]


def test_the_losses_are_added_by_their_weights(state):
    weights = {name: getattr(Config(), name) for name in REACHED}
    total, terms, _ = _weighted(state, weights)
    expected = 0.1 * terms["adv"] + 50 * terms["con"] + 0.1 * terms["fea"]
    expected += 0.01 * terms["entropy"]
    np.testing.assert_allclose(total, expected, rtol=1e-5)


def test_a_code_of_one_unit_for_all_images_is_seen(state):
    weights = dict.fromkeys(REACHED, 1.0)
    _, before, _ = _weighted(state, weights)
    assert 0 < before["entropy"] <= math.log(3)
    assert before["entropy_peak"] < 0.9
    # The first unit becomes a huge multiple of the sum of the last features, which is
    # positive for every image: leaky rectifiers shrink what is negative.
    kernel = state.params["encoder"]["Conv_3"]["kernel"]
    encoder = {**state.params["encoder"], "Conv_3": {"kernel": kernel.at[0].add(1e4)}}
    collapsed = state._replace(params={**state.params, "encoder": encoder})
    _, after, _ = _weighted(collapsed, weights)
    assert after["entropy"] < 1e-3
    assert after["entropy_peak"] > 0.99


def test_noise_is_for_training_alone_and_the_aim_is_the_clean_image(state):
    @jax.jit
    def terms(noise, seed):
        loss = caent(TINY(noise=noise)).objectives["generator"].loss
        return loss(state.params, state.stats, IMAGES, jax.random.key(seed))[1].metrics

    assert terms(0.2, 1)["con"] != terms(0.2, 2)["con"]
    assert terms(0.0, 1)["con"] == terms(0.0, 2)["con"]
    # Reconstructions are small at first, so with all noise and no image left the error
    # is the size of the clean image, not of the noise.
    np.testing.assert_allclose(terms(100.0, 1)["con"], jnp.abs(IMAGES).mean(), rtol=0.1)
    noisy, clean = caent(TINY(noise=5.0)), caent(TINY(noise=0.0))
    np.testing.assert_array_equal(
        noisy.score(state, IMAGES), clean.score(state, IMAGES)
    )


def test_equation_1_as_written_is_never_positive(state):
    @functools.partial(jax.jit, static_argnums=0)
    def adv(option):
        loss = caent(TINY(adversarial=option)).objectives["generator"].loss
        return loss(state.params, state.stats, IMAGES, jax.random.key(2))[1].metrics

    assert adv("literal")["adv"] < 0 < adv("non_saturating")["adv"]


def _residuals(state):
    """Of pixels, `[B, P]`, and of features, `[B, D]`, in float64."""
    x_hat = caent(TINY()).reconstruct(state, IMAGES)
    discriminator = dcgan.Discriminator(features=2)
    features = lambda x: np.float64(
        apply.infer(discriminator, "discriminator", state.params, state.stats, x)[1]
    )
    pixels = (np.float64(IMAGES) - np.float64(x_hat)).reshape(len(IMAGES), -1)
    return pixels, features(IMAGES) - features(x_hat)


@pytest.mark.parametrize(
    "score, pixel_error, feature_distance",
    [
        ("squares", lambda r: (r**2).mean(-1), lambda r: (r**2).mean(-1)),
        ("norms", lambda r: abs(r).sum(-1), lambda r: np.sqrt((r**2).sum(-1))),
        ("means", lambda r: abs(r).mean(-1), lambda r: (r**2).mean(-1)),
    ],
)
def test_the_score_weighs_pixels_and_features(
    state, score, pixel_error, feature_distance
):
    pixels, features = _residuals(state)
    expected = 0.7 * pixel_error(pixels) + 0.3 * feature_distance(features)
    found = caent(TINY(score=score, score_weight=0.7)).score(state, IMAGES)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    features_alone = caent(TINY(score=score, score_weight=0.0)).score(state, IMAGES)
    np.testing.assert_allclose(
        features_alone, feature_distance(features), rtol=1e-3, atol=1e-6
    )


def test_the_parts_of_the_score_are_measured_apart(state):
    method = caent(TINY(score="squares", score_weight=0.7))
    measured = {n: f(state, IMAGES) for n, f in method.views.measures.items()}
    together = 0.7 * measured["squared error"] + 0.3 * measured["feature distance"]
    np.testing.assert_allclose(method.score(state, IMAGES), together, rtol=1e-5)


def test_the_means_have_the_feature_distance_of_the_loss(state):
    _, features = _residuals(state)
    config = TINY(score="means", score_weight=0.0, feature_distance="l1")
    np.testing.assert_allclose(
        caent(config).score(state, IMAGES), abs(features).sum(-1), rtol=1e-3, atol=1e-5
    )


def test_a_discriminator_of_its_own_width_changes_no_other_network(state):
    count = lambda params: {
        name: sum(leaf.size for leaf in jax.tree.leaves(network))
        for name, network in params.items()
    }
    init = caent(TINY(discriminator_features=1)).init
    narrow = count(jax.eval_shape(init, jax.random.key(1), IMAGES).params)
    wide = count(state.params)
    assert narrow["discriminator"] < wide["discriminator"]
    assert {n: narrow[n] for n in GENERATOR} == {n: wide[n] for n in GENERATOR}


def test_every_block_of_the_encoder_has_batch_norm_and_the_discriminators_first_none():
    state = jax.eval_shape(caent(TINY()).init, jax.random.key(1), IMAGES)
    widths = {
        name: [stats["mean"].shape[0] for _, stats in sorted(network.items())]
        for name, network in state.stats.items()
    }
    assert widths == {
        "encoder": [2, 4, 8],
        "decoder": [8, 4, 2],
        "discriminator": [4, 8],
    }


def test_attention_is_measured_in_every_layer(state):
    measures = caent(TINY()).views.measures
    found = {name: f(state, IMAGES) for name, f in measures.items()}
    attention = {n: w for n, w in found.items() if n.startswith("attention")}
    assert [w.shape[1] for w in attention.values()] == [2, 4, 8, 8, 4, 2]
    assert all(((w > 0) & (w < 1)).all() for w in attention.values())
    without = caent(TINY(attention=False)).views.measures
    assert not any(name.startswith("attention") for name in without)


def test_both_losses_share_the_noisy_forward_pass():
    # Forward: encoder 4, decoder 4, discriminator 5 on real and 5 on reconstructed
    # images, and again, once trained, 4 (only features) and 5: 27 matrix products.
    # Backward, discriminator: 5 + 4 on either: 18. Backward, generator: discriminator
    # 5, decoder 4 + 4, encoder 4 + 3: 20.
    method = caent(TINY(attention=False))
    state = jax.eval_shape(method.init, jax.random.key(1), IMAGES)
    program = (
        jax.jit(method.stages[0].step).lower(state, IMAGES, jax.random.key(2)).compile()
    )
    products = re.findall(r" dot\(", program.as_text() or "")
    assert len(products) <= 27 + 18 + 20
