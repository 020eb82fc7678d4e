import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ocjax.modules import pool


def test_by_hand():
    image = jnp.array([[1.0, 2, 5, 6], [3, 4, 7, -8]])[None, :, :, None]
    # max(1 2 3 4) = 4, max(5 6 7 -8) = 7; means 10 / 4 and 10 / 4
    np.testing.assert_array_equal(pool.maximum(image).ravel(), [4, 7])
    np.testing.assert_array_equal(pool.mean(image).ravel(), [2.5, 2.5])


@pytest.mark.parametrize("size", [2, 3])
def test_agrees_with_numpy(size):
    x = jax.random.normal(jax.random.key(0), (2, 6, 12, 3))
    for function, reduce in ((pool.maximum, np.max), (pool.mean, np.mean)):
        y = function(x, size)
        assert y.shape == (2, 6 // size, 12 // size, 3)
        for i, j in np.ndindex(y.shape[1:3]):
            square = np.asarray(x)[:, size * i :, size * j :][:, :size, :size]
            np.testing.assert_allclose(y[:, i, j], reduce(square, (1, 2)), rtol=1e-5)


def test_squares_that_do_not_fill_the_image_are_refused():
    with pytest.raises(ValueError, match="multiples of 2, got 6x5"):
        pool.maximum(jnp.zeros((1, 6, 5, 1)))


def test_largest_by_hand():
    x = jnp.array([[[1.0, -2.0], [3.0, -1.0]], [[0.0, -5.0], [2.0, -4.0]]])[None]
    np.testing.assert_array_equal(pool.largest(x), [[3, -1]])
    gradient = jax.grad(lambda x: pool.largest(x).sum())(x)
    np.testing.assert_array_equal(gradient[0], [[[0, 0], [1, 1]], [[0, 0], [0, 0]]])


@pytest.mark.parametrize("pooled", [pool.maximum, pool.largest])
def test_the_gradient_of_a_maximum_goes_to_one_place_even_where_all_are_equal(pooled):
    gradient = jax.grad(lambda x: pooled(x).sum())(jnp.ones((1, 2, 2, 3)))
    assert jnp.isin(gradient, jnp.array([0.0, 1.0])).all()
    np.testing.assert_array_equal(gradient.sum(axis=(1, 2)), jnp.ones((1, 3)))
