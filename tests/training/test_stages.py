"""Training in several stages; `test_loop.py` has what one stage shows."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_methods import MAIN

from ocjax import training
from ocjax._checks import InputError
from ocjax.methods import Groups, Method, Stage, State, preprocessing, tiling
from ocjax.methods.ics import Config, ics
from ocjax.training import processes

# Two epochs of two steps in each stage.
TINY = Config(latent=8, width=0.05, splitting_epochs=2, constraints=False)
METHOD = ics(TINY)
IMAGES = np.random.default_rng(0).integers(0, 256, (19, 32, 32, 1), np.uint8)
OPTIONS: dict[str, Any] = {"epochs": 2, "batch_size": 8}


def _train(**options):
    options = OPTIONS | options
    all_progress = []
    for progress in training.train(METHOD, IMAGES, jax.random.key(0), **options):
        all_progress.append(progress)
        _ = progress.state  # Kept from now on.
    return all_progress


@pytest.fixture(scope="module")
def whole():
    # As few steps a call as there are: the first of each stage takes its whole epoch.
    return _train(seconds_per_call=0.0)


def _assert_same_bits(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def _logged(progress):
    """step -> its metrics."""
    found = {}
    for p in progress:
        for i in range(p.step - len(next(iter(p.metrics.values()), ())), p.step):
            row = i - p.step
            found[i] = {name: values[row] for name, values in p.metrics.items()}
    return found


def test_stages_follow_each_other_with_their_own_losses(whole):
    assert whole[-1].step == whole[-1].state.step == 8
    logged = _logged(whole)
    assert sorted(logged) == list(range(8))
    for step, metrics in logged.items():
        assert ("splitting" in metrics) == (step < 4)
        assert ("intra_class" in metrics) == (step >= 4)
    assert [(p.step, p.epoch) for p in whole if not p.metrics] == [(0, 0), (4, 2)]
    assert {p.epoch for p in whole} == {0, 1, 2, 3}


def test_a_stage_trains_only_its_own_networks(whole):
    start = whole[0].state.params
    between = next(p.state.params for p in whole if p.step == 4)
    end = whole[-1].state.params
    same = lambda a, b: all(jax.tree.leaves(jax.tree.map(np.array_equal, a, b)))
    assert {n for n in start if not same(start[n], between[n])} == {"splitter"}
    assert {n for n in start if not same(between[n], end[n])} == set(start) - {
        "splitter"
    }


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("step", [3, 4, 7], ids=["before", "at", "after"])
def test_resuming_around_the_boundary_gives_the_same_bits(whole, step, streamed):
    middle = next(p for p in whole if p.step == step)
    rest = _train(state=middle.state, streamed=streamed)
    assert rest[0].step == step and rest[-1].step == 8
    _assert_same_bits(rest[-1].state, whole[-1].state)
    logged = _logged(whole)
    assert _logged(rest) == {i: logged[i] for i in range(step, 8)}


def test_streamed_images_give_the_same_bits_as_resident_ones(whole):
    streamed = _train(streamed=True)
    _assert_same_bits(streamed[-1].state, whole[-1].state)
    assert _logged(streamed) == _logged(whole)


def test_a_finished_training_is_left_alone(whole):
    (again,) = _train(state=whole[-1].state)
    assert (again.step, again.epoch) == (8, 3)
    _assert_same_bits(again.state, whole[-1].state)


def _grade(state, images):
    """The first pixels."""
    return images[:, 0, 0, 0]


def _counting(divide, grade=_grade):
    """A method that logs the first pixels of each batch; divides in its 2nd stage."""

    def step(state, images, key):
        del key
        pixels = images[:, 0, 0, 0]
        logged = {f"image {i}": pixels[i] for i in range(len(pixels))}
        return state._replace(step=state.step + 1), logged

    init = lambda key, images: State({}, {}, {}, jnp.zeros((), jnp.int32))
    stages = Stage(step, epochs=1), Stage(step, grade=grade, divide=divide)
    return Method(init, stages, score=step, objectives={})


def test_batches_take_one_image_of_each_group_in_turn():
    images = np.zeros((12, 1, 1, 1), np.float32)
    images[:, 0, 0, 0] = np.arange(12) / 12
    asked = []

    def divide(grades):
        asked.append(grades)
        return Groups({"low": np.arange(9), "high": np.arange(9, 12)}, {})

    method = _counting(divide, lambda state, x: _grade(state, x) + state.step)
    progress = training.train(method, images, jax.random.key(0), epochs=3, batch_size=4)
    seen = [list(metrics.values()) for metrics in _logged(progress).values()]
    (grades,) = asked  # Once, of the state after the first stage.
    np.testing.assert_allclose(grades, images[:, 0, 0, 0] + 3, rtol=1e-6)
    numbers = np.round(12 * np.array(seen)).astype(int)
    assert set(numbers[:3].ravel()) == set(range(12))
    for low, high in numbers[3:].reshape(-1, 2):
        assert low < 9 <= high


def test_groups_without_members_are_refused_by_name():
    divide = lambda grades: Groups({"low": np.arange(12), "high": np.arange(0)}, {})
    images = np.zeros((12, 1, 1, 1), np.float32)
    with pytest.raises(InputError, match="no high ones"):
        training.fit(
            _counting(divide), images, jax.random.key(0), epochs=1, batch_size=4
        )


def test_what_processes_share_keeps_the_order_of_groups(monkeypatch):
    # A broadcast takes a tree apart and puts it together, which sorts a mapping.
    monkeypatch.setattr(processes, "share", lambda tree: jax.tree.map(np.array, tree))
    images = np.zeros((12, 1, 1, 1), np.float32)
    images[:, 0, 0, 0] = np.arange(12) / 12
    groups = {"z": np.arange(6), "a": np.arange(6, 12)}
    progress = training.train(
        _counting(lambda grades: Groups(groups, {})),
        images,
        jax.random.key(0),
        epochs=1,
        batch_size=4,
    )
    seen = [list(metrics.values()) for metrics in _logged(progress).values()]
    for first, second in np.array(seen)[3:].reshape(-1, 2):
        assert first < 0.5 <= second


@pytest.mark.parametrize(
    "method, count, size",
    [("ics", 41, 40), ("ics", 3, 3), ("ics", 99, 64), ("autoencoder", 41, 41)],
)
def test_a_batch_shrinks_to_the_images_that_train(method, count, size):
    build, config = MAIN[method]
    assert training.fitting_batch_size(build(config), 64, count) == size


@pytest.mark.parametrize(
    "wrap, side, see",
    [
        (
            lambda method: tiling.tiled(method, 32),
            40,
            lambda x: [x[:, i : i + 32, j : j + 32] for i in (0, 8) for j in (0, 8)],
        ),
        (
            lambda method: preprocessing.standardized(method, [0.5], [0.25]),
            32,
            lambda x: [x * 2],
        ),
    ],
    ids=["tiles", "standardize"],
)
def test_splitting_divides_what_its_networks_see(wrap, side, see):
    method = wrap(METHOD)
    images = np.random.default_rng(0).integers(0, 256, (19, 40, 40, 1), np.uint8)
    images = images[:, :side, :side]
    state = training.fit(method, images, jax.random.key(0), **OPTIONS)
    assert state.step == 8
    members, grades = training.divided(method.stages[1], state, images)
    parts = see(images / np.float32(127.5) - 1)
    similarities = [-METHOD.stages[1].grade(state, part) for part in parts]
    # A picture is as atypical as its most atypical tile, the least similar one.
    np.testing.assert_allclose(grades["ssim"], np.min(similarities, 0), atol=1e-5)
    expected = np.argsort(grades["ssim"], kind="stable")[:2]
    np.testing.assert_array_equal(members["atypical"], np.sort(expected))
