"""What every method promises; `tiny_methods.METHODS` lists them."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_methods import MAIN, METHODS, step_of_each_stage

from ocjax import evaluation, training
from ocjax.methods import Method, State, base
from ocjax.methods import ganomaly as ganomaly_lib

KEY = 7


class Case(NamedTuple):
    """A method after one step of each stage; compiled once for all tests."""

    method: Method
    before: State
    state: State
    images: jax.Array
    init: Any
    step: Any  # One step or pass of each stage.
    score: Any


def _cases(methods):
    """All tests of a method in one process, for their compiled functions."""
    return [pytest.param(n, marks=pytest.mark.xdist_group(n)) for n in methods]


BUILT = {name: build(config) for name, (build, config) in METHODS.items()}
STEPPING = [name for name, method in BUILT.items() if not method.computes]


def _having(field):
    return _cases(n for n, method in BUILT.items() if getattr(method, field))


# What takes more compiling is tested of each method once.
of_each_method = pytest.mark.parametrize("case", _cases(MAIN), indirect=True)
of_each_with_steps_alone = pytest.mark.parametrize(
    "case", _cases(name for name in MAIN if name in STEPPING), indirect=True
)


@pytest.fixture(scope="module", params=_cases(METHODS))
def case(request):
    build, config = METHODS[request.param]
    method = build(config)
    images = jax.random.uniform(jax.random.key(0), (8, 32, 32, 1), minval=-1)
    init = jax.jit(method.init)
    before = init(jax.random.key(1), images)
    step = functools.partial(step_of_each_stage, method)
    if not method.computes:
        step = jax.jit(step)
    state, _ = step(before, images, jax.random.key(2))
    return Case(method, before, state, images, init, step, jax.jit(method.score))


def _moved(before, after):
    """Names of the networks of which any leaf changed."""
    differs = lambda a, b: not np.array_equal(a, b)
    return {
        name
        for name in before
        if any(jax.tree.leaves(jax.tree.map(differs, before[name], after[name])))
    }


def _assert_equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_scores_are_finite_and_one_for_each_image(case):
    scores = case.score(case.state, case.images)
    assert scores.shape == (8,)
    assert scores.dtype == jnp.float32
    assert jnp.isfinite(scores).all()
    assert len(np.unique(scores)) == 8


def test_score_of_an_image_ignores_its_batch(case):
    together = case.score(case.state, case.images)
    alone = jnp.concatenate([case.score(case.state, x[None]) for x in case.images])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-6)


def test_score_of_an_image_ignores_the_order(case):
    order = jnp.array([3, 0, 5, 7, 1, 4, 2, 6])
    together = case.score(case.state, case.images)
    np.testing.assert_allclose(
        case.score(case.state, case.images[order]),
        together[order],
        rtol=1e-4,
        atol=1e-6,
    )


@of_each_method
def test_each_objective_moves_exactly_what_it_trains(case):
    objectives = case.method.objectives

    @jax.jit  # Of all at once, which share their forward passes.
    def descend_each(state, images, key):
        return {
            name: base.descend(name, objective, state, images, key)[0].params
            for name, objective in objectives.items()
        }

    after = descend_each(case.before, case.images, jax.random.key(2))
    for name, objective in objectives.items():
        assert _moved(case.before.params, after[name]) == set(objective.trains)


def test_each_network_is_trained_and_one_step_moves_all(case):
    trained = {n for o in case.method.objectives.values() for n in o.trains}
    learned = trained | set(case.method.computes)
    assert learned == set(case.before.params)
    assert _moved(case.before.params, case.state.params) == learned


def test_statistics_of_every_network_with_batch_norm_are_updated(case):
    with_statistics = {n for n, stats in case.before.stats.items() if stats}
    assert _moved(case.before.stats, case.state.stats) == with_statistics


def test_same_key_gives_the_same_bits(case):
    _assert_equal(case.init(jax.random.key(1), case.images), case.before)
    again = case.step(case.before, case.images, jax.random.key(2))[0]
    _assert_equal(again, case.state)


@pytest.mark.parametrize("case", _cases(STEPPING), indirect=True)
def test_step_keeps_structure_and_compiles_once(case):
    before = case.step._cache_size()
    after, metrics = case.step(case.state, case.images, jax.random.key(3))
    assert jax.tree.structure(after) == jax.tree.structure(case.state)
    shapes = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype), tree)
    assert shapes(after) == shapes(case.state)
    assert after.step == case.state.step + len(case.method.stages)
    assert all(m.shape == () and jnp.isfinite(m) for m in metrics.values())
    assert case.step._cache_size() == before == 1


@of_each_with_steps_alone
def test_seeds_under_vmap_equal_one_at_a_time(case):
    keys = jax.random.split(jax.random.key(KEY), 2)

    def after_a_step(key, init, step):
        init_key, step_key = jax.random.split(key)
        return step(init(init_key, case.images), case.images, step_key)

    step = functools.partial(step_of_each_stage, case.method)
    many = lambda key: after_a_step(key, case.method.init, step)
    states, metrics = jax.jit(jax.vmap(many))(keys)
    for i, key in enumerate(keys):
        state, terms = after_a_step(key, case.init, case.step)
        for name, value in terms.items():
            np.testing.assert_allclose(metrics[name][i], value, rtol=1e-4)
        close = lambda a, b, i=i: np.testing.assert_allclose(
            a[i], b, rtol=1e-3, atol=1e-4
        )
        jax.tree.map(close, states.stats, state.stats)


def _broken(case):
    params = jax.tree.map(lambda x: x * jnp.nan, case.before.params)
    return case.before._replace(params=params)


@pytest.mark.parametrize("case", _cases(STEPPING), indirect=True)
def test_every_objective_tells_parameters_that_are_not_finite(case):
    _, metrics = case.step(_broken(case), case.images, jax.random.key(2))
    assert all(jnp.isnan(metrics[name]) for name in case.method.objectives)


@of_each_with_steps_alone
def test_a_non_finite_loss_stops_training_and_says_where(case):
    images = np.zeros((8, 32, 32, 1), np.uint8)
    key = jax.random.key(0)
    with pytest.raises(training.NonFiniteError, match=r"step 0 \(epoch 1\)"):
        training.fit(
            case.method, images, key, epochs=1, batch_size=8, state=_broken(case)
        )


def test_only_the_last_stage_with_steps_takes_the_epochs_of_the_run(case):
    *earlier, last = [s for s in case.method.stages if s.step] or case.method.stages
    assert all(stage.epochs for stage in earlier) and last.epochs is None


@pytest.mark.parametrize("case", _having("computes"), indirect=True)
def test_a_pass_keeps_names_dtypes_and_ranks_and_leaves_no_sums(case):
    kinds = lambda params: jax.tree.map(lambda x: (x.dtype, x.ndim), params)
    assert kinds(case.state.params) == kinds(case.before.params)
    assert case.state.sums == {} and all(
        jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(case.state)
    )


@pytest.mark.parametrize(
    "images, error, message",
    [
        (np.zeros((2, 32, 32), np.uint8), ValueError, r"\[N, H, W, C\]"),
        (np.zeros((2, 32, 32, 3), np.uint8), ValueError, "channels of training"),
        (np.zeros((2, 64, 64, 1), np.uint8), ValueError, "size and channels"),
        (np.zeros((2, 32, 32, 1), np.int64), TypeError, "int64"),
        (np.full((2, 32, 32, 1), np.nan), ValueError, "`images`"),
        (np.full((2, 32, 32, 1), 255.0), ValueError, "`images`"),
    ],
    ids=["rank", "channels", "size", "dtype", "nan", "range"],
)
def test_images_that_cannot_be_scored_are_refused_by_name(case, images, error, message):
    with pytest.raises(error, match=message):
        evaluation.score(case.method, case.state, images)


def test_reconstructions_and_latents_have_their_shapes(case):
    if case.method.reconstruct is not None:
        again = case.method.reconstruct(case.state, case.images)
        assert again.shape == case.images.shape
        assert (jnp.abs(again) <= 1).all()
    if case.method.embed is not None:
        latents = case.method.embed(case.state, case.images)
        assert latents.ndim == 2 and len(latents) == len(case.images)


def test_an_unknown_option_is_refused_with_the_near_names():
    with pytest.raises(ValueError, match="did you mean 'feature_matching'"):
        ganomaly_lib.ganomaly(
            dataclasses.replace(ganomaly_lib.Config(), adversarial="feature_maching")
        )


def test_what_pictures_show_has_its_shape(case):
    views, state, x = case.method.views, case.state, case.images

    @jax.jit
    def show(state, x):
        shown = [views.images, views.latents, views.measures]
        return [{name: f(state, x) for name, f in each.items()} for each in shown]

    images, latents, measures = show(state, x)
    assert all(shown.shape == x.shape for shown in images.values())
    assert len({z.shape for z in latents.values()}) <= 1
    *_, alone = show(state, x[2:3])
    for name, measured in measures.items():
        assert len(measured) == len(x) and measured.ndim in (1, 2)
        np.testing.assert_allclose(measured[2:3], alone[name], rtol=1e-3, atol=1e-5)
    if views.decode is not None:
        decode = lambda state, x: views.decode(
            state, case.method.embed(state, x), x.shape[1:]
        )
        decoded = jax.jit(decode)(state, x)
        assert decoded.shape == x.shape and (jnp.abs(decoded) <= 1).all()
    if views.distance is not None:
        distances = jax.jit(views.distance)(state, x, x[::-1])
        assert distances.shape == (8,)
        assert ((distances >= 0) & (distances <= 1)).all()


@pytest.mark.parametrize("case", _having("score_batchwise"), indirect=True)
def test_the_score_by_batch_statistics_depends_on_the_batch(case):
    score = jax.jit(case.method.score_batchwise)
    together, part = score(case.state, case.images), score(case.state, case.images[:4])
    # Further apart than scores that ignore their batch may be.
    assert not np.allclose(together[:4], part, rtol=1e-4)


@pytest.mark.parametrize("case", _having("diagnose"), indirect=True)
def test_diagnostics_are_finite_scalars(case):
    found = jax.jit(case.method.diagnose)(case.state, case.images, jax.random.key(3))
    assert found and all(v.shape == () and jnp.isfinite(v) for v in found.values())
