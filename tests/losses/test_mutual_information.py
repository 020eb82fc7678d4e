import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocjax.losses import mutual_information

jensen_shannon = jax.jit(mutual_information.jensen_shannon)
NOTHING = 2 * np.log(2)  # The loss where nothing is known.


@settings(deadline=None)  # The first example compiles.
@given(st.lists(st.floats(-100, 100, width=32), min_size=5, max_size=5), st.randoms())
def test_scores_that_do_not_tell_pairs_apart_show_no_information(scores, random):
    others = random.sample(scores, len(scores))
    bound = NOTHING - jensen_shannon(jnp.array(scores), jnp.array(others)).mean()
    assert bound <= 1e-5


def _pairs(key, rho, count):
    """Standard normal pairs of correlation rho."""
    a, b = jax.random.normal(key, (2, count))
    return a, rho * a + jnp.sqrt(1 - rho**2) * b


def _log_ratio(rho, a, b):
    """Of the joint density of `_pairs` and the product of its marginals."""
    quadratic = rho**2 * (a**2 + b**2) - 2 * rho * a * b
    return -0.5 * np.log(1 - rho**2) - quadratic / (2 * (1 - rho**2))


def _divergence(rho):
    """Jensen-Shannon divergence of the two, by quadrature."""
    x, step = np.linspace(-7, 7, 401, retstep=True)
    a, b = x[:, None], x[None, :]
    apart = np.exp(-(a**2 + b**2) / 2) / (2 * np.pi)
    joint = apart * np.exp(_log_ratio(rho, a, b))
    middle = (joint + apart) / 2
    divergences = [(p * np.log(p / middle)).sum() * step**2 for p in (joint, apart)]
    return np.mean(divergences)


def _loss(estimator, a, b):
    shifted = jnp.roll(b, 1)
    scores = estimator(a, b), estimator(a, shifted)
    return mutual_information.jensen_shannon(*scores).mean()


def _quadratic(weights, a, b):
    """Estimators among which are all ratios of normal densities."""
    return jnp.stack([jnp.ones_like(a), a**2, b**2, a * b], axis=-1) @ weights


def _train(rho, key):
    optimizer = optax.adam(optax.cosine_decay_schedule(0.1, 600))
    weights = jnp.zeros(4)

    def step(state, key):
        weights, opt = state
        pairs = _pairs(key, rho, 512)
        gradient = jax.grad(lambda w: _loss(functools.partial(_quadratic, w), *pairs))
        updates, opt = optimizer.update(gradient(weights), opt)
        return (optax.apply_updates(weights, updates), opt), None

    train_key, test_key = jax.random.split(key)
    state = weights, optimizer.init(weights)
    (weights, _), _ = jax.lax.scan(step, state, jax.random.split(train_key, 600))
    pairs = _pairs(test_key, rho, 1 << 16)
    return _loss(functools.partial(_quadratic, weights), *pairs)


def test_the_log_ratio_of_densities_reaches_the_bound():
    a, b = _pairs(jax.random.key(0), 0.9, 1 << 16)
    optimum = NOTHING - 2 * _divergence(0.9)
    loss = _loss(functools.partial(_log_ratio, 0.9), a, b)
    assert loss == pytest.approx(optimum, abs=0.01)  # Four standard errors.


def test_training_finds_the_information_there_is():
    rhos = np.array([0.0, 0.9])
    train = jax.jit(jax.vmap(_train, (0, None)))
    losses = train(jnp.asarray(rhos, jnp.float32), jax.random.key(1))
    optima = [NOTHING - 2 * _divergence(rho) for rho in rhos]
    assert optima[0] == pytest.approx(NOTHING) and optima[1] < 0.75 * NOTHING
    np.testing.assert_allclose(losses, optima, atol=0.01)
