"""Methods on frozen networks, beside NumPy in double precision on the same features."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_backbone
from sklearn import covariance

from ocjax import evaluation, training
from ocjax._checks import InputError
from ocjax.backbones import backbone, load
from ocjax.data import images as images_lib
from ocjax.evaluation import heatmaps
from ocjax.methods import (
    _frozen,
    knn_features,
    mahalanobis_features,
    padim,
    patchcore,
    preprocessing,
    tiling,
)

RNG = np.random.default_rng(0)
SIDE = tiny_backbone.SIZE
IMAGES = RNG.integers(0, 256, (24, SIDE, SIDE, 1), np.uint8)
OTHERS = RNG.integers(0, 256, (5, SIDE, SIDE, 1), np.uint8)
OPTIONS = tiny_backbone.OPTIONS

BUILDERS = {
    "padim": (padim.padim, padim.Config(**OPTIONS, dimensions=10)),
    "patchcore": (patchcore.patchcore, patchcore.Config(**OPTIONS, coreset=0.1)),
    "knn_features": (knn_features.knn_features, knn_features.Config(**OPTIONS)),
    "mahalanobis_features": (
        mahalanobis_features.mahalanobis_features,
        mahalanobis_features.Config(**OPTIONS),
    ),
}
each_method = pytest.mark.parametrize("name", BUILDERS)


def mapped(method):
    assert method.anomaly_map is not None
    return jax.jit(method.anomaly_map)


def nearest(method):
    assert method.views.nearest is not None
    return jax.jit(method.views.nearest)


def floats(images):
    return jnp.asarray(images, jnp.float32) / 127.5 - 1


@functools.cache
def trained(name, batch_size=7, seed=3):
    """Method and state after a pass over `IMAGES`, whose last batch is not full."""
    build, config = BUILDERS[name]
    method = build(config)
    options = {"epochs": 1, "batch_size": batch_size}
    return method, training.fit(method, IMAGES, jax.random.key(seed), **options)


@functools.cache
def features(images_of, *names):
    """Features of `IMAGES` or `OTHERS`, float64, by their names."""
    maps = every_feature()
    part = {"images": slice(0, 24), "others": slice(24, None)}[images_of]
    return [np.asarray(maps[name][part], np.float64) for name in names]


@functools.cache
def every_feature():
    """All features of `IMAGES`, then `OTHERS`."""
    network = load(tiny_backbone.NAME, tiny_backbone.WEIGHTS)
    images = np.concatenate([IMAGES, OTHERS])
    apply = jax.jit(network.apply, static_argnums=2)
    return apply(network.params, floats(images), tuple(network.features))


def places(images_of, *names):
    """`described` in plain loops: 3x3 means, and coarse ones between their centres."""
    joined = []
    for maps in features(images_of, *names):
        side = maps.shape[1]
        means = np.zeros_like(maps)
        for i in range(side):
            for j in range(side):
                rows, columns = (slice(max(k - 1, 0), k + 2) for k in (i, j))
                means[:, i, j] = maps[:, rows, columns].sum((1, 2)) / 9
        if side == 2:  # At 1/4, 3/4, 5/4 and 7/4 of its places.
            weights = np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
            means = np.einsum("ij,bjkc,lk->bilc", weights, means, weights)
        joined.append(means)
    joined = np.concatenate(joined, -1)
    return joined.reshape(len(joined), -1, joined.shape[-1])


def map_maximum(grids):
    """The largest value of each heatmap that grids `[B, 4, 4]` give, in float64."""
    matrix = _frozen.gaussian(SIDE, SIDE / 56) @ _frozen.bilinear(SIDE, 4)
    return np.einsum("ij,bjk,lk->bil", matrix, grids, matrix).max((1, 2))


def test_padim_is_that_of_numpy_in_double_precision():
    method, state = trained("padim")
    params = state.params["padim"]
    embedding = np.asarray(params["embedding"], np.float64)
    names = "expanded3", "expanded5"
    x, y = (places(part, *names) @ embedding for part in ("images", "others"))
    np.testing.assert_allclose(params["means"], x.mean(0), rtol=1e-4, atol=1e-5)
    grids = np.zeros((len(y), 16))
    for place in range(16):
        inverse = np.linalg.inv(np.cov(x[:, place].T) + 0.01 * np.eye(10))
        centred = y[:, place] - x[:, place].mean(0)
        squares = np.einsum("bi,ij,bj->b", centred, inverse, centred)
        grids[:, place] = np.sqrt(squares)
    scores = evaluation.score(method, state, OTHERS)
    expected = map_maximum(grids.reshape(-1, 4, 4))
    np.testing.assert_allclose(scores, expected, rtol=2e-3)


def test_a_gaussian_by_hand():
    # Variances 3 and 0, covariance 0; 1 is added: the distance of (4, 2) is
    # sqrt(16 / 4 + 4 / 1).
    covariances = jnp.array([[[3.0, 0.0], [0.0, 0.0]]])
    factor = padim.inverse_factors(covariances, 1.0)[0]
    np.testing.assert_allclose(factor, [[0.5, 0], [0, 1]], rtol=1e-6)
    np.testing.assert_allclose(
        np.linalg.norm(factor @ np.array([4.0, 2.0])), 8**0.5, rtol=1e-6
    )


@pytest.mark.parametrize("count", [1, 4, 5])
def test_packed_triangles_come_back(count):
    triangles = np.tril(RNG.normal(size=(count, 3, 3)).astype(np.float32))
    rectangles = padim.packed(triangles)
    assert rectangles.shape == (-(-count // 2), 4, 3)
    found = padim.unpacked(jnp.asarray(rectangles), count)
    np.testing.assert_array_equal(found, triangles)


def test_padim_draws_its_subspace_from_the_seed():
    drawn = [trained("padim", seed=s)[1].params["padim"]["embedding"] for s in (3, 4)]
    for basis in drawn:
        np.testing.assert_allclose(basis.T @ basis, np.eye(10), atol=1e-5)
    assert not np.allclose(*drawn, atol=0.1)


def test_padim_chooses_features_where_that_is_asked():
    fine, coarse = np.eye(2)[None, None], np.eye(3)[None, None, :1]
    matrix = padim.choice(jax.random.key(0), 5, 3)
    assert matrix.shape == (5, 3) and sorted(matrix.sum(0)) == [1, 1, 1]
    assert sorted(matrix.sum(1)) == [0, 0, 1, 1, 1]
    features = _frozen.described([jnp.asarray(fine[:, :1, :1]), jnp.asarray(coarse)])
    found = padim.projected(jnp.asarray(fine[:, :1, :1]), jnp.asarray(coarse), matrix)
    np.testing.assert_allclose(found[0, 0], features[0, 0, 0] @ matrix)
    build, config = BUILDERS["padim"]
    state = build(dataclasses.replace(config, embedding="random")).init(
        jax.random.key(0), floats(IMAGES[:1])
    )
    assert set(np.unique(state.params["padim"]["embedding"])) == {0, 1}


def test_patchcore_is_that_of_numpy_in_double_precision():
    method, state = trained("patchcore")
    params = state.params["patchcore"]
    names = "block2", "block4"
    x, y = (places(part, *names) for part in ("images", "others"))
    patches, memory = x.reshape(-1, 24), np.asarray(params["memory"], np.float64)
    assert len(memory) == round(0.1 * 24 * 16)
    rows = [np.linalg.norm(patches - m, axis=1).argmin() for m in memory]
    chosen, nearest = rows[:1], np.full(len(patches), np.inf)
    for _ in rows[1:]:
        last = np.linalg.norm(patches - patches[chosen[-1]], axis=1)
        nearest = np.minimum(nearest, last)
        chosen.append(int(nearest.argmax()))
    assert chosen == rows
    for image, score in zip(y, evaluation.score(method, state, OTHERS), strict=True):
        apart = np.linalg.norm(image[:, None] - memory, axis=-1)
        patch = apart.min(1).argmax()
        match = apart[patch].argmin()
        around = np.linalg.norm(memory - memory[match], axis=1).argsort()[:9]
        exponentials = np.exp(apart[patch])
        weight = 1 - exponentials[match] / exponentials[around].sum()
        np.testing.assert_allclose(score, weight * apart[patch, match], rtol=1e-3)
    grids = np.linalg.norm(y[:, :, None] - memory, axis=-1).min(-1).reshape(-1, 4, 4)
    maps = mapped(method)(state, floats(OTHERS))
    np.testing.assert_allclose(maps.max((1, 2)), map_maximum(grids), rtol=1e-3)


def test_boxes_around_places_by_hand():
    # Of five of eight places, moved into the image at its edges.
    places = jnp.array([[0, 8 * 3 + 4], [63, 8 * 3 + 7]])
    expected = [
        [[0, 0, 5, 5], [2, 1, 7, 6]],
        [[3, 3, 8, 8], [3, 1, 8, 6]],
    ]
    np.testing.assert_allclose(8 * _frozen.boxes(places, 8), expected)
    assert _frozen.boxes(jnp.array([5]), 4).tolist() == [[0, 0, 1, 1]]


@pytest.mark.parametrize("most", [patchcore.MOST_PATCHES, 24 * 5, 12])
def test_a_memory_knows_from_which_picture_and_place_it_is(most, monkeypatch):
    # All patches are kept, five of each picture, or one of every second.
    monkeypatch.setattr(patchcore, "MOST_PATCHES", most)
    method = patchcore.patchcore(patchcore.Config(**OPTIONS, coreset=0.3))
    state = training.fit(method, IMAGES, jax.random.key(0), epochs=1, batch_size=7)
    params = state.params["patchcore"]
    numbers, places_of = np.asarray(params["origin"]).T
    expected = places("images", "block2", "block4")[numbers, places_of]
    np.testing.assert_allclose(params["memory"], expected, rtol=1e-3, atol=1e-4)
    assert len(set(numbers)) > 2 and (most > 12 or not (numbers % 2).any())


def test_the_nearest_parts_of_a_training_picture_are_its_own():
    method = patchcore.patchcore(patchcore.Config(**OPTIONS, coreset=1.0))
    state = training.fit(method, IMAGES, jax.random.key(0), epochs=1, batch_size=7)
    spoiled = IMAGES[:4].copy()
    spoiled[:, 24:, 24:] = 255 - spoiled[:, 24:, 24:]
    found = nearest(method)(state, floats(spoiled))
    assert found.numbers.shape == (4, 3) and found.parts.shape == (4, 3, 4)
    memory = np.asarray(state.params["patchcore"]["memory"])
    patches = np.asarray(described(spoiled))
    grids = np.linalg.norm(patches[:, :, None] - memory, axis=-1)
    odd = grids.min(2).argmax(1)
    rows = grids[np.arange(4), odd].argsort(1)[:, :3]
    origin = jnp.asarray(state.params["patchcore"]["origin"])[rows]
    np.testing.assert_array_equal(found.numbers, origin[..., 0])
    np.testing.assert_allclose(found.parts, _frozen.boxes(origin[..., 1], 4))
    np.testing.assert_allclose(found.odd, _frozen.boxes(jnp.asarray(odd), 4))


def described(images):
    """Patches as `patchcore` has them, `[B, P, D]`."""
    network = load(tiny_backbone.NAME, tiny_backbone.WEIGHTS)
    names = "block2", "block4"
    apply = jax.jit(network.apply, static_argnums=2)
    maps = apply(network.params, floats(images), names)
    patches = _frozen.described([maps[name] for name in names])
    return patches.reshape(len(images), -1, patches.shape[-1])


def test_the_nearest_pictures_by_whole_features_are_whole():
    method, state = trained("knn_features")
    found = nearest(method)(state, floats(IMAGES[5:8]))
    assert found.numbers[:, 0].tolist() == [5, 6, 7]
    assert (np.asarray(found.parts) == [0, 0, 1, 1]).all()


def test_a_coreset_by_hand():
    # From 0 the farthest is 10; then 4, which is 4 from 0; then 7 is 3 from both.
    line = jnp.array([[0.0], [1.0], [4.0], [7.0], [10.0]])
    keys = (jax.random.key_data(jax.random.key(seed)) for seed in range(99))
    found = (patchcore.coreset(line, key, 4) for key in keys)
    from_zero = next(c for c in found if c[0] == 0)
    assert from_zero.tolist() == [0, 4, 2, 3]


def test_equal_patches_are_each_chosen_once():
    key = jax.random.key_data(jax.random.key(0))
    chosen = patchcore.coreset(jnp.ones((6, 2)), key, 6)
    assert sorted(chosen.tolist()) == [0, 1, 2, 3, 4, 5]


def test_a_score_is_reweighted_as_in_equation_7_by_hand():
    # 1 - e^2 / (e^2 + e^3) = e / (1 + e).
    apart = jnp.array([[2.0, 3.0], [500.0, 900.0]])
    expected = [2 * np.e / (1 + np.e), 500.0]
    np.testing.assert_allclose(patchcore.reweighted(apart), expected, rtol=1e-6)
    np.testing.assert_allclose(patchcore.reweighted(apart[:, :1]), [2, 500])


@pytest.mark.parametrize(
    "count, expected",
    [(1, (784, 1)), (255, (784, 1)), (256, (781, 1)), (100_000, (2, 1))],
)
def test_pictures_share_a_bounded_number_of_patches(count, expected):
    assert patchcore.share(count, 784) == expected


def test_of_very_many_pictures_one_in_a_few_is_kept():
    assert patchcore.share(200_000, 784) == (1, 1)
    assert patchcore.share(1_000_000, 784) == (1, 5)


def test_a_part_of_the_patches_is_of_each_picture(monkeypatch):
    monkeypatch.setattr(patchcore, "MOST_PATCHES", 24 * 5)
    config = patchcore.Config(**OPTIONS, coreset=1.0)
    method = patchcore.patchcore(config)
    state = training.fit(method, IMAGES, jax.random.key(0), epochs=1, batch_size=7)
    memory = np.asarray(state.params["patchcore"]["memory"])
    patches = places("images", "block2", "block4")
    apart = np.abs(patches[:, :, None] - memory).max(-1)  # [24, 16, 120]
    assert memory.shape == (120, 24)
    # Every patch of the memory is one of the pictures', five of each.
    assert (apart.min((0, 1)) < 1e-4).all()
    assert ((apart.min(1) < 1e-4).sum(1) == 5).all()


def test_knn_features_is_that_of_numpy_in_double_precision():
    method, state = trained("knn_features")
    unit = lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)
    x, y = (unit(features(part, "pooled")[0]) for part in ("images", "others"))
    expected = 1 - np.sort(y @ x.T)[:, -5:].mean(1)
    scores = evaluation.score(method, state, OTHERS)
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_a_cosine_distance_by_hand():
    x = jnp.array([[1.0, 0.0]])
    memory = jnp.array([[0.6, 0.8], [1.0, 0.0], [-1.0, 0.0]])
    found = [nearest_distance(x, memory, k) for k in (1, 2, 99)]
    np.testing.assert_allclose(found, [0, 0.2, 0.8], atol=1e-6)


def nearest_distance(x, memory, neighbours):
    return float(knn_features.cosine_distance(x, memory, neighbours)[0])


def test_of_very_many_pictures_every_second_is_remembered(monkeypatch):
    monkeypatch.setattr(knn_features, "MOST_PICTURES", 12)
    build, config = BUILDERS["knn_features"]
    method = build(config)
    state = training.fit(method, IMAGES, jax.random.key(0), epochs=1, batch_size=7)
    memory = state.params["knn_features"]["memory"]
    whole = trained("knn_features")[1].params["knn_features"]["memory"]
    np.testing.assert_array_equal(memory, whole[::2])
    assert state.params["knn_features"]["origin"].tolist() == [*range(0, 24, 2)]


def test_mahalanobis_features_is_that_of_scikit_learn_in_double_precision():
    method, state = trained("mahalanobis_features")
    network = load(tiny_backbone.NAME, tiny_backbone.WEIGHTS)
    names = list(_frozen.levels(network.features))
    assert names == ["block3", "block4", "block5", "block6", "head"]
    pooled = lambda x: x.mean((1, 2))
    expected = np.zeros(len(OTHERS))
    pairs = zip(features("images", *names), features("others", *names), strict=True)
    for x, y in pairs:
        x, y = pooled(x), pooled(y)
        peer = covariance.LedoitWolf().fit(x)
        inverse = np.linalg.inv(
            peer.covariance_ + mahalanobis_features.FLOOR * np.eye(x.shape[1])
        )
        centred = y - peer.location_
        squares = np.einsum("bi,ij,bj->b", centred, inverse, centred)
        expected += np.sqrt(squares)
    scores = evaluation.score(method, state, OTHERS)
    np.testing.assert_allclose(scores, expected, rtol=1e-3)


def test_sums_of_fourth_powers_are_those_of_all_vectors_at_once():
    x = 3 + RNG.normal(size=(23, 4)) * [1, 2, 0.1, 5]
    sums = mahalanobis_features.zeros(4)
    for start in range(0, 23, 5):
        part = jnp.asarray(x[start : start + 5], jnp.float32)
        sums = mahalanobis_features.added(sums, part, jnp.ones(len(part), bool))
    centred = x - x.mean(0)
    squares = (centred**2).sum(1)
    np.testing.assert_allclose(sums["fourths"], (squares**2).sum(), rtol=1e-4)
    cubes = squares @ centred
    np.testing.assert_allclose(sums["cubes"], cubes, atol=1e-3 * np.abs(cubes).max())
    np.testing.assert_allclose(sums["products"], centred.T @ centred, rtol=1e-3)


def test_levels_of_known_networks_are_their_stages():
    levels = lambda name: list(_frozen.levels(backbone.layout(name).features))
    assert levels("efficientnet_lite0") == [
        *(f"block{n}" for n in (0, 2, 4, 7, 10, 14, 15)), "head",
    ]  # fmt: skip
    assert levels("resnet18") == ["layer1", "layer2", "layer3", "layer4"]


@pytest.mark.parametrize("name", ["knn_features", "mahalanobis_features"])
def test_scores_are_means_of_their_parts_at_places(name, monkeypatch):
    # Without what is clipped and smoothed away, the mean of a heatmap is the score.
    monkeypatch.setattr(_frozen.jnp, "maximum", lambda x, y: x if y == 0 else x + 0 * y)
    grids = lambda x, side: x.mean((1, 2))[:, None, None] + jnp.zeros((1, side, side))
    monkeypatch.setattr(_frozen, "heatmaps", grids)
    build, config = BUILDERS[name]
    method, state = build(config), trained(name)[1]
    maps = mapped(method)(state, floats(OTHERS))
    scores = jax.jit(method.score)(state, floats(OTHERS))
    np.testing.assert_allclose(maps[:, 0, 0], scores, rtol=1e-3, atol=1e-6)


@each_method
def test_a_pass_is_the_same_by_batches_of_any_size(name):
    method, state = trained(name)
    _, other = trained(name, batch_size=24)
    scores = [evaluation.score(method, s, OTHERS) for s in (state, other)]
    np.testing.assert_allclose(*scores, rtol=2e-3, atol=1e-5)


@each_method
def test_pictures_of_other_sizes_are_resized_and_mapped_at_their_own(name):
    method, state = trained(name)
    images = floats(RNG.integers(0, 256, (2, 48, 48, 1), np.uint8))
    scores, maps = heatmaps.explained(method)(state, images)
    assert maps.shape == (2, 48, 48) and (maps >= 0).all()
    if name not in ("padim", "patchcore"):  # Whose score is of the map, or near it.
        small = _frozen.resized(images, SIDE)
        again = jax.jit(method.score)(state, small)
        np.testing.assert_allclose(scores, again, rtol=1e-5)
    assert np.isfinite(maps).all()


def test_resizing_is_that_of_pillow():
    images = RNG.integers(0, 256, (2, 48, 48, 3), np.uint8)
    for size in (32, 20, 64):
        found = _frozen.resized(jnp.asarray(images, jnp.float32), size)
        expected = images_lib.resize(images, size)  # By Pillow.
        np.testing.assert_allclose(found, expected, atol=1.01)


def test_heatmaps_keep_a_constant_and_have_their_peak_where_the_place_is():
    flat = _frozen.heatmaps(jnp.full((1, 4, 4), 2.5), 32)
    np.testing.assert_allclose(flat, np.full((1, 32, 32), 2.5), rtol=1e-5)
    one = _frozen.heatmaps(jnp.zeros((1, 4, 4)).at[0, 1, 2].set(1), 32)[0]
    row, column = np.unravel_index(np.argmax(one), one.shape)
    assert row in (11, 12) and column in (19, 20)


@each_method
@pytest.mark.parametrize("images", [IMAGES[:1], np.full_like(IMAGES[:6], 99)])
def test_one_picture_or_pictures_all_alike_are_enough(name, images):
    build, config = BUILDERS[name]
    method = build(config)
    state = training.fit(method, images, jax.random.key(0), epochs=1, batch_size=6)
    same, other = (evaluation.score(method, state, x) for x in (images, OTHERS))
    assert np.isfinite(same).all() and np.isfinite(other).all()
    assert same.max() < other.min()


def test_a_coreset_of_all_patches_has_each_once():
    config = patchcore.Config(**OPTIONS, coreset=1.0)
    method = patchcore.patchcore(config)
    state = training.fit(method, IMAGES[:2], jax.random.key(0), epochs=1, batch_size=2)
    assert state.params["patchcore"]["memory"].shape == (32, 24)
    maps = mapped(method)(state, floats(IMAGES[:2]))
    np.testing.assert_allclose(maps, np.zeros_like(maps), atol=1e-2)


@each_method
def test_states_have_no_weights_of_the_network_and_methods_have_their_version(name):
    method, state = trained(name)
    network = load(tiny_backbone.NAME, tiny_backbone.WEIGHTS)
    assert method.weights == f"tiny {network.version}"
    kernels = {x.shape for x in jax.tree.leaves(network.params) if x.ndim == 4}
    assert not kernels & {x.shape for x in jax.tree.leaves(state.params)}


@each_method
@pytest.mark.parametrize(
    "changes, message",
    [
        ({"backbone": "alexnet"}, "Unknown backbone 'alexnet'"),
        ({"weights": "/nowhere/w.npz"}, "There is no file /nowhere/w.npz"),
        ({"weights": "gs://b/w.npz"}, "the file of weights on a local disk"),
        ({"weights": "", "backbone": "resnet18"}, "resnet18 needs a file of weights"),
    ],
)
def test_networks_and_weights_that_are_not_there_are_refused(name, changes, message):
    build, config = BUILDERS[name]
    with pytest.raises(InputError, match=message) as error:
        build(type(config)(**vars(config) | changes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "name, changes, message",
    [
        ("padim", {"dimensions": 145}, r"`hyper.dimensions` \(=145\) .* tiny has 144"),
        ("padim", {"embedding": "orthogonl"}, "did you mean 'orthogonal'"),
        ("padim", {"regularization": 0.0}, r"`hyper.regularization` \(=0.0\)"),
        ("patchcore", {"coreset": 0.0}, r"`hyper.coreset` \(=0.0\) must be above 0"),
        ("patchcore", {"coreset": 1.5}, r"`hyper.coreset` \(=1.5\) .* at most 1"),
    ],
)
def test_unusable_options_are_refused_by_name(name, changes, message):
    build, config = BUILDERS[name]
    with pytest.raises(InputError, match=message):
        build(type(config)(**vars(config) | changes))


@each_method
def test_lower_precision_and_standardized_pixels_are_refused(name):
    build, config = BUILDERS[name]
    with pytest.raises(InputError, match="config.precision .*must be float32"):
        build(config, jnp.bfloat16)
    with pytest.raises(InputError, match="standardize pixels as they were trained"):
        preprocessing.standardized(build(config), [0.5], [0.2])


@each_method
def test_a_score_is_of_its_image_alone(name):
    method, state = trained(name)
    images = floats(OTHERS)
    score = jax.jit(method.score)
    together = score(state, images)
    alone = jnp.concatenate([score(state, x[None]) for x in images[::-1]])
    np.testing.assert_allclose(together[::-1], alone, rtol=1e-4, atol=1e-6)
    assert together.dtype == jnp.float32 and len(np.unique(together)) == len(images)


def test_tiles_of_larger_pictures_have_heatmaps_too():
    build, config = BUILDERS["padim"]
    method = tiling.tiled(build(config), SIDE, overlap=0.0)
    pictures = np.tile(IMAGES[:8], (1, 2, 2, 1))
    state = training.fit(method, pictures, jax.random.key(0), epochs=1, batch_size=8)
    scores, maps = heatmaps.explained(method)(state, floats(pictures))
    assert maps.shape == (8, 64, 64)
    np.testing.assert_allclose(scores, maps.max((1, 2)), rtol=1e-4)
    np.testing.assert_allclose(maps[:, :32, :32], maps[:, 32:, 32:], rtol=1e-4)
