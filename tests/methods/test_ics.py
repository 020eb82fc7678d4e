"""What is data splitting's own; the rest is in `test_contract.py`."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny_methods

from ocjax.data.images import to_uint8
from ocjax.losses import reconstruction
from ocjax.losses import splitting as losses
from ocjax.methods import Method, State, base
from ocjax.methods.ics import Config, _whitening, ics
from ocjax.modules import apply
from ocjax.modules.alexnet import AlexNetAutoencoder
from ocjax.modules.splitting import Distance
from ocjax.training import divided

CONFIG = Config(latent=8, width=0.05)
IMAGES = jax.random.uniform(jax.random.key(0), (8, 32, 32, 1), minval=-1)
TYPICAL, ATYPICAL = {0, 2, 4, 6}, {1, 3, 5, 7}


class Case(NamedTuple):
    method: Method
    state: State
    found: Any  # name -> (value, gradients to parameters and images) of a loss.


@pytest.fixture(scope="module")
def case():
    method = ics(CONFIG)
    state = jax.jit(method.init)(jax.random.key(1), IMAGES)

    @jax.jit
    def find(params, key):
        found = {}
        for name, objective in method.objectives.items():
            value = lambda p, x, loss=objective.loss: loss(p, state.stats, x, key)[0]
            found[name] = jax.value_and_grad(value, argnums=(0, 1))(params, IMAGES)
        return found

    return Case(method, state, find)


@pytest.mark.parametrize(
    "name, networks, images",
    [
        ("splitting", {"splitter"}, TYPICAL | ATYPICAL),
        ("closeness", {"backbone", "distance"}, TYPICAL),
        ("intra_class", {"backbone", "classifier"}, TYPICAL | ATYPICAL),
        ("dispersion", {"backbone", "distance"}, ATYPICAL),
    ],
)
def test_which_networks_and_images_each_loss_reaches(case, name, networks, images):
    reached, seen = set(), set()
    for i in range(4):  # One draw of dropout may leave an image without a unit.
        _, (params, x) = case.found(case.state.params, jax.random.key(i))[name]
        reached |= {n for n in params if optax.tree.norm(params[n]) > 0}
        seen |= {i for i in range(8) if jnp.abs(x[i]).max() > 0}
    assert reached == networks == set(case.method.objectives[name].trains)
    assert seen == images


def test_the_paper_s_order_of_objectives(case):
    assert list(case.method.objectives) == [
        "splitting",
        "closeness",
        "intra_class",
        "dispersion",
    ]


def test_only_what_drops_units_depends_on_the_key(case):
    one, other = (case.found(case.state.params, jax.random.key(i)) for i in (2, 3))
    same = {name for name in one if one[name][0] == other[name][0]}
    assert same == {"splitting"}


def test_labels_of_a_divided_batch_are_balanced(case):
    # Where every logit is c, half the images cost -log sigmoid(c), the others
    # -log(1 - sigmoid(c)): 0.127 and 2.127 at c = 2. Without division all are typical.
    params = {**case.state.params, "classifier": _constant(2.0)}
    loss, _ = case.found(params, jax.random.key(2))["intra_class"]
    np.testing.assert_allclose(loss, (0.126928 + 2.126928) / 2, rtol=1e-5)
    naive = ics(dataclasses.replace(CONFIG, splitting=False)).objectives["intra_class"]
    loss, _ = jax.jit(naive.loss)(params, case.state.stats, IMAGES, jax.random.key(2))
    np.testing.assert_allclose(loss, 2.126928, rtol=1e-5)


def _constant(logit):
    return {"Dense_0": {"kernel": jnp.zeros((8, 1)), "bias": jnp.array([logit])}}


@pytest.mark.parametrize(
    "change, networks, stages",
    [
        ({}, {"splitter", "backbone", "classifier", "distance"}, 2),
        ({"constraints": False}, {"splitter", "backbone", "classifier"}, 2),
        ({"splitting": False}, {"backbone", "classifier"}, 1),
    ],
    ids=["ours", "NNwDS", "NaiveNN"],
)
def test_networks_and_stages_of_the_paper_s_three_methods(change, networks, stages):
    method = ics(dataclasses.replace(CONFIG, **change))
    state = jax.eval_shape(method.init, jax.random.key(1), IMAGES)
    assert set(state.params) == networks
    assert len(method.stages) == stages
    assert (method.stages[-1].grade is not None) == (stages == 2)
    assert ("reconstruction" in method.views.images) == ("splitter" in networks)
    assert (method.views.distance is not None) == ("distance" in networks)


def test_only_mixed_batches_update_statistics():
    change = {"backbone": "authors", "splitter": "authors"}
    method = ics(dataclasses.replace(CONFIG, **change))
    state = jax.eval_shape(method.init, jax.random.key(1), IMAGES)
    args = state.params, state.stats, IMAGES, jax.random.key(2)
    updated = {
        name: {
            network
            for network, stats in jax.eval_shape(o.loss, *args)[1].stats.items()
            if stats
        }
        for name, o in method.objectives.items()
    }
    assert updated == {
        "splitting": {"splitter"},
        "closeness": set(),
        "intra_class": {"backbone"},
        "dispersion": set(),
    }


@pytest.fixture(scope="module")
def divided_images():
    images = np.random.default_rng(0).integers(0, 256, (24, 32, 32, 1), np.uint8)
    images[::5] //= 4
    return images


def test_the_worst_reconstructed_images_are_atypical(case, divided_images):
    images = divided_images
    x = images / np.float32(255)
    reconstruct = case.method.views.images["reconstruction"]
    again = (jax.jit(reconstruct)(case.state, 2 * x - 1) + 1) / 2
    options = {
        "standard": {},
        "authors": {"data_range": 2.0, "sample_covariance": True},
    }
    for name, option in options.items():
        stage = ics(dataclasses.replace(CONFIG, ssim=name)).stages[1]
        members, grades = divided(stage, case.state, images)
        # The quantile lies between the numbers floor(0.1 * 23) = 2 and 3, from 0.
        atypical = grades["ssim"] <= np.quantile(grades["ssim"], 0.1)
        assert atypical.sum() == 3
        np.testing.assert_array_equal(members["atypical"], np.flatnonzero(atypical))
        np.testing.assert_array_equal(members["typical"], np.flatnonzero(~atypical))
        expected = jax.jit(functools.partial(reconstruction.ssim, **option))(x, again)
        np.testing.assert_allclose(grades["ssim"], expected, atol=1e-5)


def test_the_largest_squared_errors_are_atypical(case, divided_images):
    stage = ics(dataclasses.replace(CONFIG, divide_by="squared_error")).stages[1]
    members, grades = divided(stage, case.state, divided_images)
    x = divided_images / np.float64(255)
    reconstruct = case.method.views.images["reconstruction"]
    again = (
        np.float64(jax.jit(reconstruct)(case.state, np.float32(2 * x - 1))) + 1
    ) / 2
    expected = np.square(x - again).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(grades["squared_error"], expected, rtol=1e-4)
    largest = np.sort(np.argsort(-expected, kind="stable")[:3])
    np.testing.assert_array_equal(members["atypical"], largest)


def test_the_latents_farthest_from_the_mean_are_atypical(divided_images):
    config = dataclasses.replace(CONFIG, splitting_latent=3, divide_by="mahalanobis")
    method = ics(config)
    assert method.computes == ("division",)
    state = jax.jit(method.init)(jax.random.key(1), IMAGES)
    computed, stage = method.stages[1].computed, method.stages[2]
    x = jnp.asarray(divided_images / np.float32(127.5) - 1)
    state = tiny_methods.after_a_pass(computed, state, x)
    members, grades = divided(stage, state, divided_images)
    splitter = AlexNetAutoencoder(3, config.width)
    networks = state.params, state.stats
    _, latents = apply.infer(splitter, "splitter", *networks, (x + 1) / 2)
    centred = np.float64(latents) - np.float64(latents).mean(axis=0)
    inverse = np.linalg.inv(centred.T @ centred / 23)
    expected = np.einsum("ni,ij,nj->n", centred, inverse, centred)
    np.testing.assert_allclose(grades["mahalanobis"], expected, rtol=1e-2)
    np.testing.assert_allclose(np.mean(grades["mahalanobis"]), 3 * 23 / 24, rtol=1e-3)
    largest = np.sort(np.argsort(-expected, kind="stable")[:3])
    np.testing.assert_array_equal(members["atypical"], largest)


def test_latents_without_variance_are_at_no_distance():
    # Points (1, 0), (-1, 0), (3, 0): mean 1, variance 4; the second has none.
    sums = {
        "count": np.array(3, np.float32),
        "mean": np.array([1, 0], np.float32),
        "products": np.array([[8, 0], [0, 0]], np.float32),
    }
    found = _whitening(sums)
    scaled = (np.array([5, 7]) - found["mean"]) @ found["factor"]
    np.testing.assert_allclose(np.square(scaled).sum(), 16 / 4, rtol=1e-6)
    alike = _whitening({**sums, "products": np.zeros((2, 2), np.float32)})
    np.testing.assert_array_equal(alike["factor"], 0)


@pytest.mark.parametrize("splitter, latent", [("alexnet", 5), ("authors", 8)])
def test_the_splitting_autoencoder_and_its_latent_are_chosen(splitter, latent):
    change = {"splitter": splitter, "splitting_latent": latent}
    method = ics(dataclasses.replace(CONFIG, **change, divide_by="mahalanobis"))
    state = jax.eval_shape(method.init, jax.random.key(1), IMAGES)
    assert state.params["division"]["mean"].shape == (latent,)
    norms = any("BatchNorm" in name for name in state.params["splitter"])
    assert norms == (splitter == "authors")


def test_a_batch_of_256_compares_64_pairs_for_each_constraint(case, monkeypatch):
    pairs = {}
    for name in ("closeness", "dispersion"):
        inner = getattr(losses, name)
        note = lambda logits, name=name, inner=inner: (
            pairs.setdefault(name, logits.shape),
            inner(logits),
        )[1]
        monkeypatch.setattr(losses, name, note)
    images = jax.ShapeDtypeStruct((256, 32, 32, 1), jnp.float32)
    key = jax.random.key(2)
    for name in ("closeness", "dispersion"):
        loss = case.method.objectives[name].loss
        jax.eval_shape(loss, case.state.params, case.state.stats, images, key)
    assert pairs == {"closeness": (64,), "dispersion": (64,)}


def test_the_same_state_divides_the_images_in_the_same_way(case):
    images = to_uint8(IMAGES)
    one, again = (divided(case.method.stages[1], case.state, images) for _ in "ab")
    jax.tree.map(np.testing.assert_array_equal, one, again)


def test_images_that_are_all_alike_are_divided_too(case):
    images = np.zeros_like(to_uint8(IMAGES))
    members = divided(case.method.stages[1], case.state, images).members
    assert {name: len(m) for name, m in members.items()} == {
        "typical": 7,
        "atypical": 1,
    }


@pytest.mark.parametrize("kind, symmetric", [("abs", True), ("signed", False)])
def test_distances_of_images(case, kind, symmetric):
    method = ics(dataclasses.replace(CONFIG, distance=kind))
    distance: Any = method.views.distance
    measure = jax.jit(distance)
    forward = measure(case.state, IMAGES, IMAGES[::-1])
    backward = measure(case.state, IMAGES[::-1], IMAGES)
    assert np.allclose(forward, backward, rtol=1e-6) == symmetric
    # Of equal images, sigmoid(b) with b = 0 at the start.
    np.testing.assert_array_equal(measure(case.state, IMAGES, IMAGES), 0.5)


@pytest.mark.parametrize("kind", ["signed", "abs", "square"])
def test_what_both_constraints_make_of_a_distance(kind):
    distance = Distance(kind)
    scale = {"closeness": 0.2, "dispersion": 2.0}  # Atypical features lie apart.

    def logits(params, name, key) -> Any:
        z_i, z_j = scale[name] * jax.random.normal(key, (2, 256, 3))
        return distance.apply({"params": params}, z_i, z_j)

    def loss(params, key):
        close, apart = jax.random.split(key)
        closeness = losses.closeness(logits(params, "closeness", close))
        dispersion = losses.dispersion(logits(params, "dispersion", apart))
        return closeness.mean() + dispersion.mean()

    @jax.jit
    def trained(key):
        init_key, step_key, key = jax.random.split(key, 3)
        params = distance.init(init_key, *jnp.zeros((2, 1, 3)))["params"]
        optimizer = optax.adam(0.03)

        def step(i, carry):
            params, opt = carry
            gradients = jax.grad(loss)(params, jax.random.fold_in(step_key, i))
            updates, opt = optimizer.update(gradients, opt)
            return optax.apply_updates(params, updates), opt

        carry = params, optimizer.init(params)
        params, _ = jax.lax.fori_loop(0, 500, step, carry)
        return {
            name: jax.nn.sigmoid(logits(params, name, jax.random.fold_in(key, i)))
            for i, name in enumerate(scale)
        }

    distances = trained(jax.random.key(0))
    if kind == "signed":
        # Both losses pull: nothing is left but 1/2, for all pairs.
        for each in distances.values():
            np.testing.assert_allclose(each, 0.5, atol=0.1)
    else:
        assert distances["closeness"].mean() < 0.2
        assert distances["dispersion"].mean() > 0.8


def test_both_constraints_share_an_optimizer_state(case):
    step = jax.jit(case.method.stages[1].step)
    state, _ = step(case.state, IMAGES, jax.random.key(2))
    jax.tree.map(
        np.testing.assert_array_equal, state.opt["closeness"], state.opt["dispersion"]
    )
    counts = {
        n: optax.tree.get(opt, "count")
        for n, opt in state.opt.items()
        if n != "splitting"
    }
    assert counts == {"closeness": 2, "intra_class": 1, "dispersion": 2}


@pytest.mark.parametrize(
    "decayed, layers", [("convolutions", {"Conv"}), ("kernels", {"Conv", "Dense"})]
)
def test_which_kernels_shrink(decayed, layers):
    method = ics(dataclasses.replace(CONFIG, decayed=decayed))
    ones = lambda: jax.tree.map(
        lambda p: jnp.ones(p.shape, p.dtype),
        jax.eval_shape(method.init, jax.random.key(1), IMAGES).params,
    )
    for name, objective in method.objectives.items():
        params = {network: ones()[network] for network in objective.trains}
        optimizer, zeros = objective.optimizer, optax.tree.zeros_like(params)
        update = jax.jit(lambda p, z, o=optimizer: o.update(z, o.init(p), p)[0])
        updates = update(params, zeros)
        for path, update in jax.tree_util.tree_leaves_with_path(updates):
            layer, leaf = (entry.key for entry in path[-2:])
            expected = {"Conv", "ConvTranspose"} if name == "splitting" else layers
            shrinks = leaf == "kernel" and layer.split("_")[0] in expected
            assert (update < 0).all() if shrinks else (update == 0).all(), path


@pytest.mark.parametrize("stage", [0, 1])
@pytest.mark.parametrize(
    "constraints, size, message",
    [
        (True, 6, r"\(=6\) must be a multiple of 4, .* in pairs"),
        (False, 3, r"\(=3\) must be a multiple of 2, .* atypical images\."),
    ],
)
def test_a_batch_without_equal_parts_is_refused(stage, constraints, size, message):
    method = ics(dataclasses.replace(CONFIG, constraints=constraints))
    state = jax.eval_shape(method.init, jax.random.key(1), IMAGES)
    step = method.stages[stage].step
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(step, state, IMAGES[:size], jax.random.key(2))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"backbone": "alex"}, "Unknown hyper.backbone 'alex'.*'alexnet'"),
        ({"distance": "absolute"}, "Unknown hyper.distance"),
        ({"ssim": "author"}, "Unknown hyper.ssim"),
        ({"decayed": "all"}, "Unknown hyper.decayed"),
        ({"rho": 1.0}, r"`hyper.rho` \(=1.0\) must be between 0 and 1"),
        ({"splitter": "alex"}, "Unknown hyper.splitter 'alex'.*'alexnet'"),
        ({"divide_by": "mse"}, "Unknown hyper.divide_by"),
        (
            {"splitter": "authors", "splitting_latent": 30},
            r"`hyper.splitting_latent` \(=30\) must be a multiple of 4",
        ),
        ({"splitting_epochs": 0}, r"`hyper.splitting_epochs` \(=0\)"),
    ],
)
def test_unusable_options_are_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        ics(dataclasses.replace(CONFIG, **change))


def test_every_objective_drops_other_units(case, monkeypatch):
    keys = []

    def note(name, objective, state, images, key):
        keys.append(jax.random.key_data(key).tolist())
        return state, {}

    monkeypatch.setattr(base, "descend", note)
    case.method.stages[1].step(case.state, IMAGES, jax.random.key(2))
    assert len(keys) == 3 and len(set(map(tuple, keys))) == 3


def test_the_error_on_normal_images_is_the_classifiers_loss_of_typical_ones(case):
    logits = np.asarray(case.method.score(case.state, IMAGES), np.float64)
    np.testing.assert_allclose(
        case.method.error(case.state, IMAGES), np.log1p(np.exp(logits)), rtol=1e-5
    )
