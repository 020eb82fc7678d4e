import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ocjax.data import map_images, mapping
from ocjax.evaluation import score
from ocjax.methods import base


def toy_score(state, images):
    return (state.params["weight"] * images**2).sum(axis=(1, 2, 3))


def toy_method(score=toy_score):
    return base.Method(init=NotImplemented, stages=(), score=score, objectives={})


def toy_state(weight):
    return base.State({"weight": jnp.float32(weight)}, {}, {}, jnp.int32(0))


def statistics(images):
    return {"mean": images.mean(axis=(1, 2)), "first": images[:, 0, 0, 0]}


def random_images(count, shape=(5, 4, 3)):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, *shape), dtype=np.uint8)


def counting():
    """A function of images that counts how often it is traced."""
    traces = []

    def function(images):
        traces.append(images.shape)
        return images.sum(axis=(1, 2, 3))

    return function, traces


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 1500])
def test_map_images_agrees_with_one_application(count):
    images = random_images(count)
    expected = statistics(jnp.asarray(images, jnp.float32) / 127.5 - 1)
    result = map_images(statistics, images)
    assert jax.tree.map(np.shape, result) == jax.tree.map(np.shape, expected)
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6),
        result,
        expected,
    )
    assert all(isinstance(x, np.ndarray) for x in jax.tree.leaves(result))


def test_floats_pass_unchanged():
    images = np.random.default_rng(0).uniform(-1, 1, (3, 2, 2, 1)).astype(np.float32)
    np.testing.assert_array_equal(map_images(lambda x: x, images), images)


@pytest.mark.parametrize("count", [1, 64, 65, 1500])
def test_score_agrees_with_the_method(count):
    images, state = random_images(count), toy_state(0.3)
    expected = toy_score(state, jnp.asarray(images, jnp.float32) / 127.5 - 1)
    scores = score(toy_method(), state, images)
    assert scores.shape == (count,)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_scores_do_not_depend_on_order():
    images, state = random_images(200), toy_state(1.0)
    order = np.random.default_rng(1).permutation(200)
    scores = score(toy_method(), state, images)
    np.testing.assert_array_equal(
        score(toy_method(), state, images[order]), scores[order]
    )


def test_another_state_gives_other_scores_without_compiling_again():
    traces = []

    def traced(state, images):
        traces.append(images.shape)
        return toy_score(state, images)

    images = random_images(10)
    one = score(toy_method(traced), toy_state(1.0), images)
    two = score(toy_method(traced), toy_state(2.0), images)
    np.testing.assert_allclose(two, 2 * one, rtol=1e-6)
    assert len(traces) == 1


def test_many_images_compile_once():
    function, traces = counting()
    for count in [1500, 1025, 5000, 1000, 700]:
        map_images(function, random_images(count, (2, 2, 1)))
    assert traces == [(32, 2, 2, 1)]


def test_few_images_take_few_chunks():
    sizes = []

    def function(images):
        return jax.pure_callback(record, jax.typeof(images[:, 0, 0, 0]), images)

    def record(images):
        sizes.append(len(images))
        return np.asarray(images)[:, 0, 0, 0]

    for count, chunks in [(1, 1), (4, 1), (5, 2), (9, 4), (16, 4), (17, 6), (33, 12)]:
        sizes.clear()
        map_images(function, random_images(count), chunk=4, piece=24)
        assert sizes == [4] * chunks


@pytest.mark.parametrize(
    "backend, side, chunk",
    [("cpu", 32, 32), ("cpu", 256, 32), ("gpu", 32, 1024), ("gpu", 96, 64)]
    + [("tpu", 256, 16), ("gpu", 2048, 1)],
)
def test_accelerators_take_many_small_images_at_once(backend, side, chunk):
    assert mapping._chunk(backend, side, side) == chunk


def test_unusable_shapes_and_sizes_are_named():
    with pytest.raises(ValueError, match=r"\[N, H, W, C\], got \(8, 8, 1\)"):
        map_images(statistics, np.zeros((8, 8, 1), np.uint8))
    with pytest.raises(ValueError, match="multiple of `chunk`, got piece=100"):
        map_images(statistics, random_images(1), chunk=64, piece=100)
    with pytest.raises(TypeError, match="int64|int32"):
        map_images(statistics, np.zeros((1, 8, 8, 1), np.int32))
