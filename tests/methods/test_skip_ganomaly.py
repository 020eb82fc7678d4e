import functools
import re

import gradients
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ocjax.methods.skip_ganomaly import Config, skip_ganomaly
from ocjax.modules import apply, dcgan, unet

TINY = functools.partial(Config, features=2)
IMAGES = jax.random.uniform(jax.random.key(0), (8, 32, 32, 1), minval=-1)
REACHED = {
    "w_adv": {"generator", "discriminator"},
    "w_con": {"generator"},
    "w_lat": {"generator", "discriminator"},
}


@pytest.fixture(scope="module")
def state():
    return jax.jit(skip_ganomaly(TINY()).init)(jax.random.key(1), IMAGES)


@jax.jit
def _weighted(state, weights):
    return gradients.of_generator(skip_ganomaly(TINY(**weights)), state, IMAGES)


@pytest.mark.parametrize("term", REACHED)
def test_each_term_of_the_generator_reaches_its_networks(state, term):
    *_, found = _weighted(state, gradients.only(term, REACHED))
    assert gradients.reached(found) == REACHED[term]


def test_the_weights_are_those_of_the_code(state):
    weights = {name: getattr(Config(), name) for name in REACHED}
    total, terms, _ = _weighted(state, weights)
    expected = terms["adv"] + 50 * terms["con"] + terms["lat"]
    np.testing.assert_allclose(total, expected, rtol=1e-5)


def test_the_code_adds_the_feature_term_to_the_discriminator(state):
    @jax.jit
    def both(state):
        values = []
        for added in (False, True):
            method = skip_ganomaly(TINY(features_train_discriminator=added))
            loss = method.objectives["discriminator"].loss
            values.append(loss(state.params, state.stats, IMAGES, jax.random.key(2)))
        generator = skip_ganomaly(TINY()).objectives["generator"].loss
        _, aux = generator(state.params, state.stats, IMAGES, jax.random.key(2))
        return values[0][0], values[1][0], aux.metrics["lat"]

    honest, code, lat = both(state)
    assert lat > 0
    # Halved, as the cross entropy is: in the code both are whole.
    np.testing.assert_allclose(code, honest + 0.5 * lat, rtol=1e-5)


def test_the_score_weighs_squared_errors(state):
    pixels = skip_ganomaly(TINY(score_weight=1.0))
    error = jnp.square(IMAGES - pixels.reconstruct(state, IMAGES)).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(pixels.score(state, IMAGES), error, rtol=1e-5)
    features = skip_ganomaly(TINY(score_weight=0.0)).score(state, IMAGES)
    both = skip_ganomaly(TINY(score_weight=0.9)).score(state, IMAGES)
    np.testing.assert_allclose(both, 0.9 * error + 0.1 * features, rtol=1e-4)


def test_the_norms_of_the_paper_are_sums(state):
    @jax.jit
    def residuals(state):
        networks = state.params, state.stats
        x_hat, _ = apply.infer(unet.UNet(2), "generator", *networks, IMAGES)
        judge = functools.partial(
            apply.infer, dcgan.Discriminator(features=2), "discriminator", *networks
        )
        return IMAGES - x_hat, judge(IMAGES)[1] - judge(x_hat)[1]

    pixels, features = (np.float64(part) for part in residuals(state))
    norms = abs(pixels).sum((1, 2, 3)), np.sqrt((features**2).sum(-1))
    expected = 0.9 * norms[0] + 0.1 * norms[1]
    found = skip_ganomaly(TINY(score="norms")).score(state, IMAGES)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_quarter_of_the_channels_is_a_quarter_in_every_network():
    widths = []
    for features in (64, 16):
        init = skip_ganomaly(Config(features=features)).init
        params = jax.eval_shape(init, jax.random.key(1), IMAGES).params
        kernels = [network["Conv_0"]["kernel"] for network in params.values()]
        widths.append([len(kernel) for kernel in kernels])
    assert widths == [[64, 64], [16, 16]]


def test_both_losses_share_their_forward_passes():
    # Forward: generator 10, discriminator 5 on real and 5 on reconstructed images: 20
    # matrix products. Backward, generator: discriminator 5, generator 10 + 9: 24.
    # Backward, discriminator: 5 + 4 on either: 18.
    method = skip_ganomaly(TINY())
    state = jax.eval_shape(method.init, jax.random.key(1), IMAGES)
    step = jax.jit(method.stages[0].step).lower(state, IMAGES, jax.random.key(2))
    products = re.findall(r" dot\(", step.compile().as_text() or "")
    assert len(products) <= 20 + 24 + 18
