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
from ocjax.modules import apply, axis, dcgan

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


@functools.partial(jax.jit, static_argnums=1)
def _of_divergence(state, gamma):
    """The generator's loss where nothing else counts, and the divergence."""
    config = TINY(**{**dict.fromkeys(REACHED, 0.0), "gamma": gamma})
    total, metrics, _ = gradients.of_generator(lrgdan(config), state, IMAGES)
    return total, metrics["kl"]


def test_a_nat_of_divergence_has_the_weight_of_information_times_gamma(state):
    for gamma in (0.0, 2.0):
        total, kl = _of_divergence(state, gamma)
        np.testing.assert_allclose(total, 0.05 * gamma * kl, rtol=1e-5)


def test_the_divergence_is_in_nats_of_all_dimensions(state):
    encoder = dcgan.StochasticEncoder(3, 2)
    (mean, log_variance, _), _ = apply.train(
        encoder, "encoder", state.params, state.stats, IMAGES
    )
    mean, log_variance = np.float64(mean), np.float64(log_variance)
    terms = mean**2 + np.exp(log_variance) - 1 - log_variance
    expected = 0.5 * terms.sum(axis=1).mean()
    np.testing.assert_allclose(_of_divergence(state, 2.0)[1], expected, rtol=1e-4)


def _controlled(state, k):
    stats = {**state.stats, "auxiliary_control": {"k": jnp.float32(k)}}
    return state._replace(stats=stats)


def test_control_keeps_the_errors_of_both_kinds_of_images_in_proportion(state):
    method = lrgdan(TINY(k_control=0.5, k_ratio=0.7))
    step = jax.jit(base.descend, static_argnums=(0, 1))
    for k in (0.25, 0.5):
        after, metrics = step(
            "auxiliary",
            method.objectives["auxiliary"],
            _controlled(state, k),
            IMAGES,
            jax.random.key(2),
        )
        girec, dual = (np.float64(metrics[name]) for name in ("girec", "dual"))
        direc = (girec - dual) / k  # The loss is that of k before the step.
        pixels = 32 * 32  # Errors are sums over them.
        expected = k + 0.5 * (0.7 * girec - direc) / pixels
        np.testing.assert_allclose(
            after.stats["auxiliary_control"]["k"], expected, atol=1e-5
        )
        np.testing.assert_allclose(metrics["k"], k)


def test_control_is_the_same_on_all_devices(state):
    loss = lrgdan(TINY(k_control=0.5)).objectives["auxiliary"].loss
    controlled, key = _controlled(state, 0.4), jax.random.key(2)

    def next_k(x):
        _, aux = loss(controlled.params, controlled.stats, x, key)
        return aux.stats["auxiliary_control"]["k"]

    parts = IMAGES.reshape(2, 4, *IMAGES.shape[1:])
    of_parts = jax.jit(jax.vmap(next_k, axis_name=axis.NAME))(parts)
    whole = jax.jit(next_k)(IMAGES)
    assert whole != jnp.float32(0.4)
    np.testing.assert_allclose(of_parts, [whole, whole], rtol=1e-5)


def test_a_zero_sum_game_weighs_both_parts_by_the_controlled_k(state):
    only: dict[str, Any] = gradients.only("w_dual", REACHED)
    method = lrgdan(TINY(**only, k_control=1e-3, dual_mode="zero_sum"))
    loss = jax.jit(method.objectives["generator"].loss)
    losses = [
        loss(state.params, _controlled(state, k).stats, IMAGES, jax.random.key(2))[0]
        for k in (0.25, 0.75)
    ]
    np.testing.assert_allclose(losses[1], 3 * losses[0], rtol=1e-5)


@pytest.mark.parametrize(
    "change, k",
    [({"k_control": 1e-3, "k": 0.3}, 0.3), ({}, None), ({"dual": False}, None)],
)
def test_k_is_in_the_state_only_where_it_is_controlled(change, k):
    init = jax.jit(lrgdan(TINY(**change)).init)
    stats = init(jax.random.key(1), IMAGES).stats
    if k is None:
        assert "auxiliary_control" not in stats
    else:
        np.testing.assert_allclose(stats["auxiliary_control"]["k"], k)


def test_the_score_is_the_error_of_the_second_reconstruction(state):
    method = lrgdan(TINY())
    again = method.reconstruct(state, IMAGES)
    np.testing.assert_allclose(
        method.score(state, IMAGES),
        jnp.abs(IMAGES - again).sum(axis=(1, 2, 3)),
        rtol=1e-5,
    )
    once = method.views.images["G(x)"](state, IMAGES)
    assert (again != once).any()
    squared = lrgdan(TINY(score="squared_error"))
    for name, image in (("error of G(x)", once), ("error of D'(G(x))", again)):
        expected = np.square(np.float64(IMAGES) - np.float64(image)).sum((1, 2, 3))
        measure = squared.views.measures[name]
        np.testing.assert_allclose(measure(state, IMAGES), expected, rtol=1e-5)
    np.testing.assert_array_equal(squared.score(state, IMAGES), measure(state, IMAGES))


def test_an_unknown_score_is_refused_with_the_near_names():
    with pytest.raises(ValueError, match="hyper.score 'l2'"):
        lrgdan(TINY(score="l2"))


def test_diagnostics_name_the_gradient_of_each_weighted_term(state):
    diagnose = lrgdan(TINY()).diagnose
    assert diagnose is not None
    found = jax.jit(diagnose)(state, IMAGES, jax.random.key(3))
    terms = ("irec", "adv", "zrec", "direc", "information")
    errors = {"held_out_g_error", "held_out_d_error"}
    assert set(found) == errors | {f"gradient_{term}" for term in terms}
    assert all(value > 0 for value in found.values())


def test_diagnostics_have_the_errors_of_both_autoencoders(state):
    method = lrgdan(TINY())
    diagnose: Any = method.diagnose
    found = jax.jit(diagnose)(state, IMAGES, jax.random.key(3))
    for name, measure in (
        ("held_out_g_error", method.views.measures["error of G(x)"]),
        ("held_out_d_error", method.score),
    ):
        expected = measure(state, IMAGES).mean()
        np.testing.assert_allclose(found[name], expected, rtol=1e-5)
