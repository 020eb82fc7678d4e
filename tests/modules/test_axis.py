import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ocjax.modules import axis

BATCH = jnp.arange(12.0).reshape(6, 2)
KEPT = 1, 0, BATCH.mean(0), np.roll(BATCH, 1, axis=0), BATCH.sum(0), BATCH


def act(part):
    return (
        jnp.array(axis.size()),
        jnp.array(axis.index()),
        axis.mean({"mean": part.mean(0)})["mean"],
        axis.shift(part),
        axis.total({"sum": part.sum(0)})["sum"],
        axis.gather({"whole": part})["whole"],
    )


def in_parts(function, parts):
    split = BATCH.reshape(parts, -1, 2)
    return jax.vmap(function, axis_name=axis.NAME)(split)


def same(results, expected):
    jax.tree.map(np.testing.assert_array_equal, tuple(results), tuple(expected))


@pytest.mark.parametrize("parts", [1, 2, 3, 6])
def test_parts_of_a_batch_act_as_the_whole_does(parts):
    size, index, mean, shifted, total, whole = in_parts(act, parts)
    same((size, index), (np.full(parts, parts), np.arange(parts)))
    np.testing.assert_allclose(mean, np.tile(KEPT[2], (parts, 1)), rtol=1e-6)
    # Each has its predecessor, none itself.
    np.testing.assert_array_equal(shifted.reshape(BATCH.shape), KEPT[3])
    for each in range(parts):  # The same everywhere, in the order of the batch.
        np.testing.assert_allclose(total[each], KEPT[4], rtol=1e-6)
        np.testing.assert_array_equal(whole[each], BATCH)


@pytest.mark.parametrize(
    "transform", [lambda f: f, jax.jit, lambda f: jax.jit(jax.jit(f, inline=True))]
)
def test_one_device_acts_on_its_own(transform):
    same(transform(act)(BATCH), KEPT)


def test_a_pmap_over_one_device_changes_nothing():
    results = jax.pmap(act, axis_name=axis.NAME)(BATCH[None])
    same([result[0] for result in results], KEPT)


@pytest.mark.parametrize("options", [{}, {"axis_name": "models"}])
def test_lanes_do_not_act_on_each_other(options):
    lanes = jnp.stack([BATCH, 2 * BATCH])
    mapped = jax.vmap(act, **options)
    devices = jax.pmap(mapped, axis_name="devices")(lanes[None])
    for results in (jax.jit(mapped)(lanes), [result[0] for result in devices]):
        for lane, factor in enumerate((1, 2)):
            expected = *KEPT[:2], *(factor * kept for kept in KEPT[2:])
            same([result[lane] for result in results], expected)


def test_what_was_compiled_for_one_device_is_not_used_on_several():
    inlined, called = jax.jit(act, inline=True), jax.jit(act)
    for function in (inlined, called, lambda x: inlined(x)):
        for _ in range(2):
            same(function(BATCH), KEPT)
            size, index, *_ = in_parts(function, 2)
            same((size, index), ([2, 2], [0, 1]))


def test_an_axis_of_loops_and_gradients_is_that_around_them():
    def loss(scale, part):
        total = jax.lax.fori_loop(0, 2, lambda _, x: x + axis.mean(part.sum()), 0.0)
        return scale * total

    gradient = jax.jit(jax.grad(loss))
    assert gradient(1.0, BATCH) == 2 * 66
    np.testing.assert_array_equal(
        in_parts(lambda part: gradient(1.0, part), 2), [2 * 33, 2 * 33]
    )


def test_a_batch_of_one_has_no_other_partner():
    batch = jnp.ones((1, 3))
    np.testing.assert_array_equal(axis.shift(batch), batch)
