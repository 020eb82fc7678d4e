"""Schedules against optax's, and what they do to a step."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from linear_method import IMAGES, linear

from ocjax import training
from ocjax._checks import InputError
from ocjax.runs.bounds import BOUNDS, Words
from ocjax.training import schedule
from ocjax.training.schedule import Schedule

STEPS = 80


def _factors(**options) -> np.ndarray:
    of = Schedule(**options).factor
    return np.array([of(jnp.int32(i), jnp.int32(STEPS)) for i in range(STEPS)])


def test_a_cosine_is_that_of_optax():
    expected = optax.cosine_decay_schedule(1.0, STEPS)
    np.testing.assert_allclose(
        _factors(shape="cosine"), np.asarray(expected(np.arange(STEPS))), atol=1e-6
    )


def test_a_decay_is_a_quarter_every_30_of_80():
    np.testing.assert_allclose(
        _factors(shape="decay"), [1.0] * 30 + [0.25] * 30 + [0.0625] * 20
    )


def test_a_warm_up_rises_evenly_and_keeps_the_shape():
    factors = _factors(shape="cosine", warmup=4)
    without = _factors(shape="cosine")
    np.testing.assert_allclose(factors[:4], without[:4] * [0.25, 0.5, 0.75, 1.0])
    np.testing.assert_array_equal(factors[4:], without[4:])


def test_a_constant_rate_needs_no_factor():
    assert schedule.CONSTANT.factor(jnp.int32(0), jnp.int32(1)) is None


def test_an_unknown_shape_is_refused_and_flags_know_all_shapes():
    with pytest.raises(InputError, match="schedule"):
        Schedule("linear")
    assert BOUNDS["schedule"] == Words(schedule.SHAPES)


def _weight(rate: float, **options) -> float:
    """The weight after two steps, from 1 on."""
    state = training.fit(
        linear(rate), IMAGES, jax.random.key(0), steps=2, batch_size=4, **options
    )
    assert state.rate is None
    return float(state.params["net"]["weight"])


def test_a_factor_is_one_of_the_learning_rate():
    assert _weight(0.25) == 0.5
    assert _weight(0.25, schedule=Schedule(warmup=2)) == 1 - 0.125 - 0.25
    decayed = Schedule("decay", decay_factor=0.5, decay_every=0.5)
    assert _weight(0.25, schedule=decayed) == 1 - 0.25 - 0.125
