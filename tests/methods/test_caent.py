import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ocjax.methods.caent import Config, caent

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
def _reach(state, weights):
    """The gradients of the generator's loss by all networks, its metrics."""
    loss = caent(TINY(**weights)).objectives["generator"].loss
    value = lambda params: loss(params, state.stats, IMAGES, jax.random.key(2))
    gradients, aux = jax.grad(value, has_aux=True)(state.params)
    return gradients, aux.metrics


@pytest.mark.parametrize("term", REACHED)
def test_each_term_of_the_generator_reaches_its_networks(state, term):
    gradients, _ = _reach(state, {name: float(name == term) for name in REACHED})
    any_leaf = lambda tree: any(bool((g != 0).any()) for g in jax.tree.leaves(tree))
    assert {n for n, tree in gradients.items() if any_leaf(tree)} == REACHED[term]


def test_a_code_of_one_unit_for_all_images_is_seen(state):
    before = _reach(state, dict.fromkeys(REACHED, 1.0))[1]
    assert 0 < before["entropy"] <= math.log(3)
    assert before["entropy_peak"] < 0.9
    # The latent is linear in the last kernel: one unit's weights times a huge number
    # decide by the sign, so take the others' away and leave a difference of means.
    kernel = state.params["encoder"]["Conv_3"]["kernel"]
    features = jnp.ones_like(kernel[:1])
    spread = kernel.at[0].add(1e4 * features[0])
    encoder = {**state.params["encoder"], "Conv_3": {"kernel": spread}}
    collapsed = state._replace(params={**state.params, "encoder": encoder})
    after = _reach(collapsed, dict.fromkeys(REACHED, 1.0))[1]
    assert after["entropy"] < 1e-3
    assert after["entropy_peak"] > before["entropy_peak"]


def test_noise_is_for_training_alone(state):
    @jax.jit
    def losses(noise, seed):
        loss = caent(TINY(noise=noise)).objectives["generator"].loss
        return loss(state.params, state.stats, IMAGES, jax.random.key(seed))[0]

    assert losses(0.2, 1) != losses(0.2, 2)
    assert losses(0.0, 1) == losses(0.0, 2)
    method = caent(TINY(noise=5.0))
    np.testing.assert_array_equal(
        method.score(state, IMAGES), caent(TINY(noise=0.0)).score(state, IMAGES)
    )


def test_the_score_weighs_reconstruction_and_features(state):
    pixels = caent(TINY(score_weight=1.0))
    x_hat = pixels.reconstruct(state, IMAGES)
    error = jnp.abs(IMAGES - x_hat).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(pixels.score(state, IMAGES), error, rtol=1e-5)
    features = caent(TINY(score_weight=0.0)).score(state, IMAGES)
    both = caent(TINY(score_weight=0.9)).score(state, IMAGES)
    np.testing.assert_allclose(both, 0.9 * error + 0.1 * features, rtol=1e-4)


def test_attention_is_measured_in_every_layer(state):
    measures = caent(TINY()).views.measures
    found = {name: f(state, IMAGES) for name, f in measures.items()}
    attention = {n: w for n, w in found.items() if n.startswith("attention")}
    assert [w.shape[1] for w in attention.values()] == [2, 4, 8, 8, 4, 2]
    assert all(((w > 0) & (w < 1)).all() for w in attention.values())
    without = caent(TINY(attention=False)).views.measures
    assert list(without) == ["latent entropy (nats)"]
