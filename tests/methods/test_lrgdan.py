import functools
import math
from typing import Any

import gradients
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ocjax.methods import base
from ocjax.methods.lrgdan import Config, lrgdan

TINY = functools.partial(Config, latent=3, features=2, units=8)
IMAGES = jax.random.uniform(jax.random.key(0), (8, 32, 32, 1), minval=-1)
GENERATOR = {"encoder", "decoder"}
REACHED = {
    "w_irec": GENERATOR,
    "w_adv": GENERATOR | {"discriminator"},
    "w_zrec": GENERATOR | {"auxiliary_encoder"},
    "w_dual": GENERATOR | {"auxiliary_encoder", "auxiliary_decoder"},
    "beta_global": {"encoder", "global_estimator"},
    "beta_local": {"encoder", "local_estimator"},
    "gamma": {"encoder"},
}


@pytest.fixture(scope="module")
def state():
    return jax.jit(lrgdan(TINY()).init)(jax.random.key(1), IMAGES)


@functools.partial(jax.jit, static_argnums=2)
def _weighted(state, weights, anchored):
    config = TINY(w_information=1.0, anchored=anchored, **weights)
    *_, found = gradients.of_generator(lrgdan(config), state, IMAGES)
    return found


@pytest.mark.parametrize("term", REACHED)
def test_each_term_of_the_generator_reaches_its_networks(state, term):
    found = _weighted(state, gradients.only(term, REACHED), False)
    assert gradients.reached(found) == REACHED[term]


def test_an_anchor_is_a_constant_to_the_generator(state):
    found = _weighted(state, gradients.only("w_zrec", REACHED), True)
    assert gradients.reached(found) == {"encoder"}


def test_a_row_of_the_ablation_has_only_its_networks():
    def networks(**parts):
        init = lrgdan(TINY(**parts)).init
        return set(jax.eval_shape(init, jax.random.key(0), IMAGES).params)

    single = networks(information=False, dual=False, discriminate=False)
    assert single == GENERATOR
    with_discriminator = networks(information=False, dual=False)
    assert with_discriminator == GENERATOR | {"discriminator"}
    dual = networks(information=False)
    assert dual - with_discriminator == {"auxiliary_encoder", "auxiliary_decoder"}
    assert networks() - dual == {"global_estimator", "local_estimator"}


def test_modes_differ_in_the_sign_and_weight_of_the_generators_dual_term(state):
    only: dict[str, Any] = gradients.only("w_dual", REACHED)

    @jax.jit
    def losses(state):
        def loss(mode):
            method = lrgdan(TINY(**only, k=0.3, dual_mode=mode))
            generator = method.objectives["generator"].loss
            return generator(state.params, state.stats, IMAGES, jax.random.key(2))[0]

        return [loss(mode) for mode in ("adversarial", "zero_sum", "joint")]

    adversarial, zero_sum, joint = losses(state)
    assert adversarial > 0
    np.testing.assert_allclose(
        [zero_sum, joint], [0.3 * adversarial, -0.3 * adversarial]
    )


def _descended(method, state, name, term, steps=12):
    """Values of a metric over steps on one objective, one batch, one key."""
    objective = method.objectives[name]

    def body(state, _):
        state, metrics = base.descend(name, objective, state, IMAGES, jax.random.key(2))
        return state, metrics[term]

    return jax.jit(lambda s: jax.lax.scan(body, s, length=steps)[1])(state)


def test_the_auxiliary_autoencoder_lowers_the_dual_loss_alone(state):
    values = _descended(lrgdan(TINY()), state, "auxiliary", "dual")
    assert values[-1] < values[0]


def test_the_generator_lowers_its_part_of_the_dual_loss(state):
    only: dict[str, Any] = gradients.only("w_dual", REACHED)
    values = _descended(lrgdan(TINY(**only)), state, "generator", "direc")
    assert values[-1] < values[0]


def test_encoder_and_estimators_together_raise_information(state):
    only: dict[str, Any] = dict.fromkeys(REACHED, 0.0)
    only |= {"beta_global": 1.0, "beta_local": 1.0, "w_information": 1.0}
    method = lrgdan(TINY(**only, learning_rate=1e-2))
    ignorant = 2 * math.log(2)
    for term in ("global", "local"):
        values = _descended(method, state, "generator", term, steps=60)
        assert values[-1] < ignorant - 0.1


def test_the_score_is_the_error_of_the_second_reconstruction(state):
    method = lrgdan(TINY())
    again = method.reconstruct(state, IMAGES)
    np.testing.assert_allclose(
        method.score(state, IMAGES),
        jnp.abs(IMAGES - again).sum(axis=(1, 2, 3)),
        rtol=1e-5,
    )
    assert (again != method.views.images["G(x)"](state, IMAGES)).any()


def test_diagnostics_name_the_gradient_of_each_weighted_term(state):
    diagnose = lrgdan(TINY()).diagnose
    assert diagnose is not None
    found = jax.jit(diagnose)(state, IMAGES, jax.random.key(3))
    assert set(found) == {
        f"gradient_{term}" for term in ("irec", "adv", "zrec", "direc", "information")
    }
    assert all(norm > 0 for norm in found.values())
