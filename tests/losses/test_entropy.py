import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocjax.losses import entropy

softmax_entropy = jax.jit(entropy.softmax_entropy)
values = st.floats(-1e4, 1e4, width=32)


@settings(deadline=None)  # The first example compiles.
@given(st.lists(values, min_size=4, max_size=4))
def test_is_between_nothing_and_the_log_of_the_units(latents):
    value = softmax_entropy(jnp.array(latents))
    assert 0 <= value <= np.log(4) + 1e-6


@settings(deadline=None)
@given(st.lists(st.floats(-10, 10, width=32), min_size=4, max_size=4), values)
def test_neither_order_nor_a_constant_matters(latents, constant):
    z = jnp.array(latents)
    expected = softmax_entropy(z)
    np.testing.assert_allclose(softmax_entropy(z[::-1]), expected, atol=1e-6)
    # Adding up to 1e4 rounds a unit by up to 5e-4.
    np.testing.assert_allclose(softmax_entropy(z + constant), expected, atol=5e-3)


@pytest.mark.parametrize("scale", [0.0, 100.0, 1e4])
def test_value_and_gradient_are_finite_however_far_units_are_apart(scale):
    z = scale * jnp.array([1.0, -1.0, 0.0])
    value, gradient = jax.value_and_grad(entropy.softmax_entropy)(z)
    assert jnp.isfinite(value) and jnp.isfinite(gradient).all()


def test_descent_leaves_one_unit_active():
    z = jnp.array([0.1, 0.0, -0.1])
    for _ in range(100):
        z = z - jax.grad(softmax_entropy)(z)
    assert softmax_entropy(z) < 0.1
    assert jax.nn.softmax(z)[0] > 0.95
