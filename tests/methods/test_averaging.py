"""Averages of weights, by hand and through the loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_methods
from linear_method import IMAGES, linear

from ocjax import training
from ocjax._checks import InputError
from ocjax.methods import averaging


def _state(decay, steps):
    method = averaging.averaged(linear(0.25), decay)
    options = {"steps": steps, "batch_size": 4}
    return method, training.fit(method, IMAGES, jax.random.key(0), **options)


def test_the_average_follows_the_weights_and_scores():
    method, state = _state(0.15, 2)
    # Kept parts are (1 + t) / (10 + t): 0.1, and 2 / 11, which is more than 0.15.
    first = 0.1 * 1 + 0.9 * 0.75
    expected = 0.15 * first + 0.85 * 0.5
    assert state.params["net"]["weight"] == 0.5
    scores = method.score(state, jnp.ones((3, 2, 2, 1)))
    np.testing.assert_allclose(scores, np.full(3, expected), rtol=1e-6)
    np.testing.assert_array_equal(method.error(state, jnp.ones((3, 2, 2, 1))), scores)


def test_averages_do_not_change_what_trains():
    _, state = _state(0.9, 4)
    plain = training.fit(linear(0.25), IMAGES, jax.random.key(0), steps=4, batch_size=4)
    np.testing.assert_array_equal(
        state.params["net"]["weight"], plain.params["net"]["weight"]
    )


def test_networks_are_averaged_with_their_statistics():
    build, tiny = tiny_methods.METHODS["autoencoder"]
    method = averaging.averaged(build(tiny), 0.5)
    images = jax.random.uniform(jax.random.key(1), (4, 32, 32, 1), minval=-1)
    state = jax.jit(method.init)(jax.random.key(0), images)
    first = jax.jit(method.score)(state, images)
    plain = jax.jit(build(tiny).score)(state, images)
    np.testing.assert_array_equal(first, plain)
    step = jax.jit(method.stages[0].step)
    after, _ = step(state, images, jax.random.key(2))
    average = after.stats[averaging.NAME]
    mixed = jax.tree.map(
        lambda old, new: 0.1 * old + 0.9 * new,
        (state.params, {n: v for n, v in state.stats.items() if n != averaging.NAME}),
        (after.params, {n: v for n, v in after.stats.items() if n != averaging.NAME}),
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7),
        (average["params"], average["stats"]),
        mixed,
    )


def test_what_a_pass_computes_is_no_part_of_an_average():
    build, tiny = tiny_methods.METHODS["ics, the authors' splitter, by the latent"]
    inner = build(tiny)
    method = averaging.averaged(inner, 0.5)
    images = jax.random.uniform(jax.random.key(1), (4, 32, 32, 1), minval=-1)
    state = jax.jit(method.init)(jax.random.key(0), images)
    length = len(state.params["division"]["mean"])
    division = {"mean": jnp.ones(length), "factor": 2 * jnp.eye(length)}
    state = state._replace(params={**state.params, "division": division})
    grade, plain = method.stages[-1].grade, inner.stages[-1].grade
    assert grade is not None and plain is not None
    grades = jax.jit(grade)(state, images)
    assert (grades > 0).all()
    np.testing.assert_array_equal(grades, jax.jit(plain)(state, images))


def test_a_method_without_steps_has_nothing_to_average():
    build, tiny = tiny_methods.METHODS["pca"]
    with pytest.raises(InputError, match="takes none"):
        averaging.averaged(build(tiny), 0.9)
