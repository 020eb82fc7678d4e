"""What is GANomaly's own; the rest is in `test_contract.py`."""

import functools
import re

import gradients
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ocjax.methods import base
from ocjax.methods.ganomaly import Config, ganomaly
from ocjax.modules import apply, dcgan

IMAGES = jax.random.uniform(jax.random.key(0), (4, 32, 32, 1), minval=-1)
REACHED = {
    "w_adv": {"encoder", "decoder", "discriminator"},
    "w_con": {"encoder", "decoder"},
    "w_enc": {"encoder", "decoder", "reencoder"},
}


METHOD = ganomaly(Config(latent=3, features=2))
STEP = jax.jit(METHOD.stages[0].step)


@pytest.fixture(scope="module")
def state():
    """State before training; options of losses change nothing of it."""
    return jax.jit(METHOD.init)(jax.random.key(1), IMAGES)


@jax.jit
def _weighted(state, weights):
    method = ganomaly(Config(latent=3, features=2, **weights))
    return gradients.of_generator(method, state, IMAGES)


@pytest.mark.parametrize("term", REACHED)
def test_each_term_of_the_generator_reaches_its_networks(term, state):
    *_, found = _weighted(state, gradients.only(term, REACHED))
    assert gradients.reached(found) == REACHED[term]


def test_the_discriminators_loss_reaches_the_discriminator(state):
    objective = METHOD.objectives["discriminator"]
    assert objective.trains == ("discriminator",)
    loss = jax.jit(jax.grad(objective.loss, has_aux=True))
    found, _ = loss(state.params, state.stats, IMAGES, jax.random.key(2))
    assert "discriminator" in gradients.reached(found)


def test_the_score_is_the_latent_distance_under_stored_statistics(state):
    after, _ = STEP(state, IMAGES, jax.random.key(2))
    encoder, decoder = dcgan.Encoder(3, 2), dcgan.Decoder(32, 1, 2)
    later = ganomaly(Config(latent=3, features=2, score="l1"))

    @jax.jit
    def latents_and_scores(state):
        networks = state.params, state.stats
        z, _ = apply.infer(encoder, "encoder", *networks, IMAGES)
        x_hat = apply.infer(decoder, "decoder", *networks, z)
        z_hat, _ = apply.infer(encoder, "reencoder", *networks, x_hat)
        return z, z_hat, METHOD.score(state, IMAGES), later.score(state, IMAGES)

    z, z_hat, score, later_score = map(np.float64, latents_and_scores(after))
    np.testing.assert_allclose(score, ((z - z_hat) ** 2).mean(-1), rtol=1e-4)
    np.testing.assert_allclose(later_score, np.abs(z - z_hat).sum(-1), rtol=1e-4)


def test_the_contextual_term_is_weighted_by_fifty(state):
    _, terms = STEP(state, IMAGES, jax.random.key(2))
    total = terms["adv"] + 50 * terms["con"] + terms["enc"]
    np.testing.assert_allclose(terms["generator"], total, rtol=1e-5)


@pytest.mark.parametrize("adversarial", ["non_saturating", "literal"])
def test_the_adversarial_option_matters(adversarial, state):
    method = ganomaly(Config(latent=3, features=2, adversarial=adversarial))
    loss = jax.jit(method.objectives["generator"].loss)
    _, aux = loss(state.params, state.stats, IMAGES, jax.random.key(2))
    _, terms = STEP(state, IMAGES, jax.random.key(2))
    assert aux.metrics["adv"] != terms["adv"]


RELEASE = Config(
    latent=3,
    features=2,
    adversarial="non_saturating",
    order="discriminator_first",
)


def test_in_the_first_release_the_generator_meets_the_new_discriminator(state):
    method = ganomaly(RELEASE)
    key = jax.random.key(2)

    @jax.jit
    def by_hand(state):
        for name in ("discriminator", "generator"):
            state, terms = base.descend(
                name, method.objectives[name], state, IMAGES, key
            )
        return state.params, terms

    after, terms = jax.jit(method.stages[0].step)(state, IMAGES, key)
    assert after.step == 1
    params, expected = by_hand(state)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-6)
    jax.tree.map(close, after.params, params)
    np.testing.assert_allclose(terms["generator"], expected["generator"], rtol=1e-5)
    together = ganomaly(Config(latent=3, features=2, adversarial="non_saturating"))
    loss = jax.jit(together.objectives["generator"].loss)
    _, at_the_old = loss(state.params, state.stats, IMAGES, key)
    # The discriminator has just learned to tell its images.
    assert terms["adv"] > at_the_old.metrics["adv"]


def test_an_unknown_order_is_refused():
    with pytest.raises(ValueError, match="did you mean 'discriminator_first'"):
        ganomaly(Config(order="discriminator"))


@pytest.mark.parametrize(
    "config, products",
    [
        # Layers run forward: encoder, decoder and reencoder 4 each, discriminator 4 on
        # real and 4 on reconstructed images. Backward, generator: encoder 4 + 3,
        # decoder 4 + 4, reencoder 4 + 4, discriminator 3. Backward, discriminator:
        # 4 + 3 on real and 4 + 3 on reconstructed images.
        (Config(latent=3, features=2), 20 + 26 + 14),
        # The new discriminator runs again, 4 on reconstructed images, and is gone
        # through from its logits, one layer more.
        (RELEASE, 20 + 4 + 27 + 14),
    ],
    ids=["code", "first release"],
)
def test_both_losses_share_their_forward_passes(config, products):
    method = ganomaly(config)
    state = jax.eval_shape(method.init, jax.random.key(1), IMAGES)
    program = (
        jax.jit(method.stages[0].step).lower(state, IMAGES, jax.random.key(2)).compile()
    )
    assert len(re.findall(r" dot\(", program.as_text() or "")) <= products


def test_training_shrinks_the_reconstruction_error():
    method = ganomaly(Config(latent=3, features=4, learning_rate=2e-3))
    state = jax.jit(method.init)(jax.random.key(1), IMAGES)
    step = jax.jit(method.stages[0].step)
    flat = jnp.broadcast_to(
        jnp.array([-0.8, -0.3, 0.3, 0.8])[:, None, None, None], IMAGES.shape
    )
    errors = []
    for i in range(40):
        state, terms = step(state, flat, jax.random.key(i))
        errors.append(float(terms["con"]))
    assert errors[-1] < 0.7 * errors[0]
