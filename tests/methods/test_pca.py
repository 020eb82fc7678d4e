"""What is PCA's own; the rest is in `test_contract.py`."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import decomposition
from tiny_methods import after_a_pass

from ocjax import evaluation, training
from ocjax._checks import InputError
from ocjax.methods import tiling
from ocjax.methods.pca import Config, pca

RNG = np.random.default_rng(0)
# A few directions of large variance, and noise.
_BASE = RNG.normal(size=(4, 6 * 6 * 3))
_FLAT = RNG.normal(size=(90, 4)) @ _BASE + 0.3 * RNG.normal(size=(90, 108))
PIXELS = np.clip(127.5 + 30 * _FLAT, 0, 255).astype(np.uint8).reshape(90, 6, 6, 3)
IMAGES, OTHERS = PIXELS[:50], PIXELS[50:]


def _trained(config, images: np.ndarray = IMAGES, **options):
    method = pca(config)
    all_options: dict[str, Any] = {"epochs": 1, "batch_size": 16} | options
    return method, training.fit(method, images, jax.random.key(0), **all_options)


def _flat(images):
    return images.reshape(len(images), -1).astype(np.float64) / 127.5 - 1


@pytest.mark.parametrize("config", [Config(), Config(0.6), Config(components=7)])
@pytest.mark.parametrize("error", ["squared", "absolute"])
@pytest.mark.parametrize("batch_size", [7, 50, 64])
def test_scores_are_those_of_scikit_learn_in_double_precision(
    config, error, batch_size
):
    config = Config(config.variance, config.components, error)
    method, state = _trained(config, batch_size=batch_size)
    kept = config.components or config.variance
    peer = decomposition.PCA(kept, svd_solver="full").fit(_flat(IMAGES))
    params = state.params["pca"]
    assert params["components"].shape == peer.components_.shape
    np.testing.assert_allclose(params["mean"].ravel(), peer.mean_, atol=1e-6)
    x = _flat(OTHERS)
    residual = x - peer.inverse_transform(peer.transform(x))
    expected = (residual**2 if error == "squared" else np.abs(residual)).sum(1)
    scores = evaluation.score(method, state, OTHERS)
    np.testing.assert_allclose(scores, expected, rtol=1e-4)
    latents = method.embed(state, jnp.asarray(x, jnp.float32).reshape(OTHERS.shape))
    np.testing.assert_allclose(np.abs(latents), np.abs(peer.transform(x)), atol=1e-4)


def test_a_line_of_two_pixels_by_hand():
    # Pixels (t, 2t), t = -0.4, 0, 0.4: the component is (1, 2) / sqrt(5).
    t = np.array([-0.4, 0.0, 0.4], np.float32)
    images = np.zeros((3, 2, 2, 1), np.float32)
    images[:, 0, 0, 0], images[:, 1, 1, 0] = t, 2 * t
    method, state = _trained(Config(components=1), images, batch_size=2)
    component = state.params["pca"]["components"][0]
    np.testing.assert_allclose(
        np.abs(component), np.array([1, 0, 0, 2]) / 5**0.5, atol=1e-6
    )
    other = jnp.zeros((1, 2, 2, 1)).at[0, 0, 0].set(1.0)
    # (1, 0) has its foot at (0.2, 0.4), so 0.64 + 0.16 are left of it.
    np.testing.assert_allclose(method.score(state, other), [0.8], rtol=1e-5)
    found = method.reconstruct(state, other)[0, ..., 0]
    np.testing.assert_allclose(found, [[0.2, 0], [0, 0.4]], atol=1e-6)
    absolute = pca(Config(components=1, error="absolute"))
    np.testing.assert_allclose(absolute.score(state, other), [1.2], rtol=1e-5)


def test_sums_in_single_precision_keep_small_variances_beside_a_large_mean():
    images = np.full((400, 4, 4, 1), 0.9, np.float32)
    images += 1e-3 * RNG.normal(size=images.shape).astype(np.float32)
    pass_ = pca().stages[0].computed
    sums = pass_.start(None, (4, 4, 1), 400)
    add = jax.jit(pass_.add)
    for i in range(0, 400, 5):
        sums = add(None, sums, images[i : i + 5], jnp.arange(i, i + 5))
    x = images.reshape(400, 16).astype(np.float64)
    expected = (x - x.mean(0)).T @ (x - x.mean(0))
    np.testing.assert_allclose(
        sums["products"], expected, atol=1e-3 * np.diag(expected).max()
    )


@pytest.mark.parametrize("config", [Config(), Config(components=2)])
@pytest.mark.parametrize("value", [0, 77, 255])
def test_images_that_are_all_alike_are_their_mean(config, value):
    images = np.full((10, 6, 6, 3), value, np.uint8)
    method, state = _trained(config, images, batch_size=3)
    assert not np.any(state.params["pca"]["components"])
    x = OTHERS / np.float32(127.5) - 1
    expected = ((x - (value / np.float32(127.5) - 1)) ** 2).sum((1, 2, 3))
    scores = evaluation.score(method, state, OTHERS)
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


def test_one_image_is_enough_for_a_mean():
    method, state = _trained(Config(), IMAGES[:1])
    np.testing.assert_allclose(
        evaluation.score(method, state, IMAGES[:1]), [0], atol=1e-6
    )


def test_reconstructions_are_shown_within_the_range_of_pixels():
    method, state = _trained(Config(components=2))
    far = method.views.decode(state, jnp.array([[99.0, 0.0]]), (6, 6, 3))
    assert far.min() == -1 and far.max() == 1


def test_all_tiles_of_a_picture_are_images_of_their_own():
    pictures = RNG.uniform(-1, 1, (5, 12, 12, 1)).astype(np.float32)
    method = tiling.tiled(pca(Config(components=9)), 8, overlap=0.5)
    options = {"epochs": 1, "batch_size": 2}  # More tiles than pictures, 9 components.
    state = training.fit(method, pictures, jax.random.key(0), **options)
    tiles = [
        pictures[:, i : i + 8, j : j + 8].reshape(5, 64) for i in (0, 4) for j in (0, 4)
    ]
    peer = decomposition.PCA(9, svd_solver="full").fit(np.concatenate(tiles))
    errors = [
        ((x - peer.inverse_transform(peer.transform(x))) ** 2).sum(1) for x in tiles
    ]
    scores = evaluation.score(method, state, pictures)
    np.testing.assert_allclose(scores, np.max(errors, 0), rtol=1e-4)


@pytest.mark.parametrize(
    "config, message",
    [
        (Config(variance=0.0), r"`hyper.variance` \(=0.0\) must be between"),
        (Config(variance=1.0), r"`hyper.variance` \(=1.0\) must be between"),
        (Config(components=-1), r"`hyper.components` \(=-1\) must be at least 0"),
        (Config(error="l1"), "Unknown hyper.error 'l1'.*squared, absolute"),
    ],
)
def test_unusable_options_are_refused_by_name(config, message):
    with pytest.raises(InputError, match=message):
        pca(config)


@pytest.mark.parametrize(
    "side, components, message",
    [
        (64, 0, "at most 8,192 values .* 64 x 64 x 3 have 12,288: lower image_size"),
        (2, 13, r"`hyper.components` \(=13\) must not exceed .* 2 x 2 x 3 have 12"),
    ],
)
def test_pictures_that_do_not_fit_are_refused_in_one_line(side, components, message):
    method = pca(Config(components=components))
    with pytest.raises(InputError, match=message) as error:
        jax.eval_shape(method.init, jax.random.key(0), jnp.zeros((1, side, side, 3)))
    assert "\n" not in str(error.value)


def test_products_are_of_the_precision_that_is_asked_for():
    images = jnp.asarray(IMAGES / np.float32(127.5) - 1)
    exact, half = (pca(Config(components=3), d) for d in (jnp.float32, jnp.bfloat16))
    state = after_a_pass(
        exact.stages[0].computed, exact.init(jax.random.key(0), images), images
    )
    program = str(jax.make_jaxpr(half.score)(state, images))
    assert program.count("dot_general") == 2 and program.count("bf16") >= 4
    assert half.score(state, images).dtype == jnp.float32
    near = half.score(state, images), exact.score(state, images)
    np.testing.assert_allclose(*near, rtol=0.05)
