"""Many models at once; `spmd_program.py` has several devices."""

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

from ocjax import training
from ocjax.methods.ganomaly import Config, ganomaly

TINY = Config(latent=3, features=2)
IMAGES = np.random.default_rng(0).integers(0, 256, (30, 32, 32, 1), np.uint8)
OPTIONS: dict[str, Any] = {"epochs": 3, "batch_size": 4, "seconds_per_call": 0.0}
# Of other sizes: epochs of 2, 3 and 4 steps.
ROWS = np.arange(0, 9), np.arange(9, 22), np.arange(12, 30)


def _models(**changes):
    """Three models, with one each of what `changes` lists."""
    own = [{name: row[i] for name, row in changes.items()} for i in range(3)]
    return [training.Model(jax.random.key(i), ROWS[i], **own[i]) for i in range(3)]


def build(**hyper):
    """GANomaly with hyper-parameters of a model's own."""
    return ganomaly(dataclasses.replace(TINY, **hyper))


METHOD = build()


def _built(**hyper):
    return build(**hyper) if hyper else METHOD


def _swept(models, width, **options):
    """number -> all its progress."""
    found = {}
    devices = training.ModelDevices(width=width)
    for number, progress in training.sweep(
        _built, IMAGES, models, devices=devices, **OPTIONS | options
    ):
        found.setdefault(number, []).append(progress)
        _ = progress.state  # Kept from now on.
    return found


def _alone(model, method=METHOD):
    return list(
        training.train(
            method, IMAGES, model.key, rows=model.rows, state=model.state, **OPTIONS
        )
    )


@pytest.fixture(scope="module")
def alone():
    return [_alone(model) for model in _models()]


def _losses(progress):
    return np.concatenate([p.metrics["generator"] for p in progress if p.metrics])


def _assert_same_bits(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def _assert_near(a, b):
    # BatchNorm amplifies rounding, and Adam divides by it.
    close = lambda x, y: np.testing.assert_allclose(x, y, rtol=0, atol=2e-3)
    jax.tree.map(close, a, b)


def test_one_after_another_each_gets_the_bits_of_its_single_run(alone):
    swept = _swept(_models(), 1)
    for number, single in enumerate(alone):
        _assert_same_bits(swept[number][-1].state, single[-1].state)
        np.testing.assert_array_equal(_losses(swept[number]), _losses(single))
        assert [p.done for p in swept[number]][-2:] == [False, True]


def test_under_vmap_each_gets_its_single_run_but_for_rounding(alone):
    swept = _swept(_models(), 2)  # The last group has a lane without a model.
    for number, single in enumerate(alone):
        final = swept[number][-1]
        assert final.done and final.step == final.state.step == single[-1].step
        _assert_near(final.state.params, single[-1].state.params)
        np.testing.assert_allclose(
            _losses(swept[number]), _losses(single), rtol=1e-3, atol=1e-4
        )


@pytest.mark.parametrize("width", [1, 2])
def test_models_resume_each_from_its_own_step(width):
    whole = _swept(_models(), width)
    at = [5, 0, 12]  # The first in the middle, the second at its start, one at its end.
    states = [next(p.state for p in whole[i] if p.step == at[i]) for i in range(3)]
    states[0] = lambda found=states[0]: found  # Or how to find it when its turn comes.
    models = _models(state=states)
    again = _swept(models, width)
    for number in range(3):
        assert again[number][0].step == at[number]
        _assert_same_bits(again[number][-1].state, whole[number][-1].state)
    assert len(again[2]) == 1 and again[2][0].done


@pytest.mark.parametrize("width", [1, 2])
def test_a_model_that_diverges_does_not_touch_the_others(width):
    good, bad = ({"learning_rate": rate, "w_con": 50.0} for rate in (2e-4, np.inf))
    swept = _swept(_models(hyper=[good, bad, good]), width)
    expected = _swept(_models(hyper=[good] * 3), width)
    last = swept[1][-1]
    assert last.done and "parameters after step 1 (epoch 1)" in str(last.error)
    assert not any(p.error for p in swept[1][:-1])
    for number in (0, 2):
        assert swept[number][-1].error is None
        _assert_same_bits(swept[number][-1].state, expected[number][-1].state)


@pytest.mark.parametrize("width", [1, 2])
def test_hyper_parameters_may_differ(width):
    choices = [
        {"learning_rate": 1e-3, "w_con": 50.0},
        {"learning_rate": 1e-4, "w_con": 0.0},
    ]
    swept = _swept(_models(hyper=[*choices, choices[0]])[:2], width)
    for number, (model, hyper) in enumerate(zip(_models(), choices, strict=False)):
        single = _alone(model, build(**hyper))[-1].state
        check = _assert_same_bits if width == 1 else _assert_near
        check(swept[number][-1].state.params, single.params)


def test_numbers_are_arguments_of_a_program_but_choices_and_shapes_are_not():
    shape = (4, 32, 32, 1)
    assert training.traceable(build, {"learning_rate": 1e-3, "w_adv": 1.0}, shape)
    assert not training.traceable(build, {"latent": 4}, shape)


@pytest.mark.parametrize(
    "models, devices, at_once, expected",
    [
        (10, 1, 0, 1),  # This is a CPU.
        (10, 1, 10, 10),
        (10, 1, 99, 10),
        (12, 1, 10, 6),  # Two groups of 6 instead of 10 and 2.
        (50, 4, 99, 13),
        (3, 4, 99, 1),
    ],
)
def test_groups_are_as_equal_as_can_be(models, devices, at_once, expected):
    assert training.width(models, devices, at_once) == expected
