import os
import pathlib
import subprocess
import sys
import weakref
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ocjax import training
from ocjax.methods import Method, Stage, State
from ocjax.methods.ganomaly import Config, ganomaly
from ocjax.training import loop

ROOT = pathlib.Path(__file__).parents[2]
METHOD = ganomaly(Config(latent=3, features=2))
IMAGES = np.random.default_rng(0).integers(0, 256, (23, 32, 32, 1), np.uint8)
OPTIONS: dict[str, Any] = {"epochs": 3, "batch_size": 5}
SINGLE_STEPS: dict[str, Any] = OPTIONS | {"seconds_per_call": 0.0}


def _train(**options):
    options = OPTIONS | options
    return list(training.train(METHOD, IMAGES, jax.random.key(0), **options))


@pytest.fixture(scope="module")
def whole():
    return _train()


def _assert_same_bits(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def _joined(progress, name="generator"):
    return np.concatenate([p.metrics[name] for p in progress if p.metrics])


def test_every_step_is_reported_once_and_epochs_are_counted(whole):
    # 23 images are 4 batches of 5, and 3 left out.
    assert [p.step for p in whole][0] == 0 and not whole[0].metrics
    assert whole[-1].step == 3 * 4
    assert len(_joined(whole)) == 12
    assert {p.epoch for p in whole[1:]} == {0, 1, 2}
    for p in whole[1:]:
        assert all(len(v) == len(_joined([p])) for v in p.metrics.values())


def test_steps_a_call_do_not_change_a_bit(whole):
    one_at_a_time = _train(seconds_per_call=0.0)
    _assert_same_bits(one_at_a_time[-1].state, whole[-1].state)
    np.testing.assert_array_equal(_joined(one_at_a_time), _joined(whole))


def test_streamed_images_give_the_same_bits_as_resident_ones():
    program = pathlib.Path(__file__).parent / "streamed_program.py"
    environment = os.environ | {"XLA_FLAGS": "", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, program], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_resuming_after_any_step_gives_the_same_bits(whole):
    progress = training.train(METHOD, IMAGES, jax.random.key(0), **SINGLE_STEPS)
    middle = next(p.state for p in progress if p.step == 5)
    rest = _train(state=middle)
    assert rest[0].step == 5
    _assert_same_bits(rest[-1].state, whole[-1].state)
    np.testing.assert_array_equal(_joined(rest), _joined(whole)[5:])


@pytest.mark.parametrize("streamed", [False, True])
def test_steps_are_those_of_epochs_of_which_the_last_is_cut_short(whole, streamed):
    options = {"epochs": 0, "steps": 10, "streamed": streamed}
    short = _train(**options)  # Two epochs of 4 and half of one.
    np.testing.assert_array_equal(_joined(short), _joined(whole)[:10])
    assert short[-1].done and short[-1].ends_epoch and short[-1].epoch == 2
    (again,) = _train(state=short[-1].state, **options)
    assert again.done and again.epoch == 2


@pytest.mark.parametrize("length", [{}, {"steps": 4}, {"epochs": -1}])
def test_a_length_is_either_in_epochs_or_in_steps(length):
    options = {"epochs": 0} | length if length != {"steps": 4} else length
    with pytest.raises(ValueError, match="either `epochs`"):
        _train(**options)


def test_a_model_that_is_stopped_is_done_where_it_is(whole):
    seen = []
    for progress in training.train(METHOD, IMAGES, jax.random.key(0), **SINGLE_STEPS):
        seen.append(progress)
        if progress.step == 5 and not progress.done:
            progress.stop()
    assert seen[-1].done and seen[-1].step == 5 and not seen[-1].count
    np.testing.assert_array_equal(_joined(seen), _joined(whole)[:5])


def test_a_model_that_is_stopped_before_its_first_step_takes_none(whole):
    seen = []
    for progress in training.train(METHOD, IMAGES, jax.random.key(0), **OPTIONS):
        seen.append(progress)
        progress.stop()
    assert [p.done for p in seen] == [False, True] and seen[-1].step == 0


def test_resuming_a_finished_training_changes_nothing(whole):
    (again,) = _train(state=whole[-1].state)
    assert again.state is whole[-1].state


def test_epochs_have_different_orders_and_seeds_differ(whole):
    other = list(training.train(METHOD, IMAGES, jax.random.key(1), **OPTIONS))
    assert (_joined(other) != _joined(whole)).all()


def test_only_the_last_state_lives(monkeypatch):
    living = []

    def program(*compiled, program=loop._program):
        run = program(*compiled)

        def watched(*arguments):
            done = run(*arguments)
            living.append(weakref.ref(jax.tree.leaves(done[0].params)[0]))
            return done

        return watched

    monkeypatch.setattr(loop, "_program", program)
    progress = list(training.train(METHOD, IMAGES, jax.random.key(0), **SINGLE_STEPS))
    assert len(living) == 1 + 12
    assert sum(ref() is not None for ref in living) == 1
    assert progress[-1].state.step == 12
    with pytest.raises(RuntimeError, match="step 5 is gone, .* at step 12"):
        _ = next(p for p in progress if p.step == 5).state


def test_a_state_that_was_asked_for_stays():
    progress = training.train(METHOD, IMAGES, jax.random.key(0), **SINGLE_STEPS)
    middle = next(p for p in progress if p.step == 5 and p.state)
    list(progress)
    assert middle.state.step == 5


def test_the_memory_of_a_long_fit_does_not_grow():
    sizes = []

    def step(state, images, key):
        params = jax.tree.map(lambda x: x + 1.0, state.params)
        return state._replace(params=params, step=state.step + 1), {
            "loss": images.mean()
        }

    init = lambda key, images: State(
        {"kernel": jnp.zeros(250_000)}, {}, {}, jnp.zeros((), jnp.int32)
    )
    method = Method(init, (Stage(step),), score=step, objectives={})
    images = np.zeros((8, 1, 1, 1), np.uint8)

    def train(*arguments, train=training.train, **options):
        for progress in train(*arguments, **options):
            sizes.append(sum(array.nbytes for array in jax.live_arrays()))
            yield progress

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "train", train)
        options: dict[str, Any] = {"epochs": 200, "batch_size": 8}
        state = training.fit(method, images, jax.random.key(0), **options)
    assert float(state.params["kernel"][0]) == len(sizes) - 1 == 200
    # A state is a megabyte, and there may be one more while a step is taken.
    assert max(sizes[2:]) - min(sizes[2:]) < 2_500_000


def test_every_image_is_seen_at_most_once_an_epoch():
    seen = []

    init = lambda key, images: State({}, {}, {}, jnp.zeros((), jnp.int32))
    count = lambda state, images, key: (
        state._replace(step=state.step + 1),
        {"mark": jnp.exp2((images[:, 0, 0, 0] * 127.5 + 127.5).round()).sum()},
    )
    method = Method(init, (Stage(count),), score=count, objectives={})
    images = np.zeros((7, 1, 1, 1), np.uint8)
    images[:, 0, 0, 0] = np.arange(7)
    for progress in training.train(
        method, images, jax.random.key(0), epochs=4, batch_size=3
    ):
        seen += list(progress.metrics.get("mark", []))
    for epoch in np.array(seen, int).reshape(4, 2):
        # The marks are sums of distinct powers of two: 6 different images.
        assert epoch[0] & epoch[1] == 0
        assert bin(epoch[0] | epoch[1]).count("1") == 6


@pytest.mark.parametrize(
    "change, message",
    [
        ({"batch_size": 24}, r"`batch_size` \(=24\) .* training images \(=23\)"),
        ({"batch_size": 0}, r"`batch_size` \(=0\) must be at least 1"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_by_name(change, message):
    with pytest.raises(ValueError, match=message):
        _train(**change)


@pytest.mark.parametrize(
    "images, error, message",
    [
        (IMAGES[..., 0], ValueError, r"`images`.*\[N, H, W, C\].*\[23, 32, 32\]"),
        (IMAGES[:, :28, :28], ValueError, "side 32, 64, 128.*got 28x28"),
        (IMAGES[..., [0, 0]], ValueError, "`images`"),
        (IMAGES.astype(np.int32), TypeError, "`images`.*int32"),
        (IMAGES / 255 - 2, ValueError, "`images`"),
        (np.full((23, 32, 32, 1), np.nan), ValueError, "`images`"),
        (IMAGES[:0], ValueError, "`images`"),
    ],
    ids=["rank", "size", "channels", "dtype", "range", "nan", "empty"],
)
def test_unusable_images_are_refused_by_name(images, error, message):
    with pytest.raises(error, match=message):
        list(training.train(METHOD, images, jax.random.key(0), **OPTIONS))


def test_images_are_streamed_to_one_lane_only():
    devices = training.ModelDevices(width=2)
    models = [training.Model(jax.random.key(i)) for i in range(2)]
    with pytest.raises(ValueError, match="one lane, and `devices` has 2"):
        list(
            training.together(
                METHOD, IMAGES, models, devices=devices, streamed=True, **OPTIONS
            )
        )


def test_parameters_that_are_not_finite_end_training():
    def step(state, images, key):
        params = jax.tree.map(lambda x: x * 1e20, state.params)
        return state._replace(params=params, step=state.step + 1), {
            "loss": images.mean()
        }

    init = lambda key, images: State(
        {"kernel": jnp.ones(2)}, {}, {}, jnp.zeros((), jnp.int32)
    )
    method = Method(init, (Stage(step),), score=step, objectives={})
    images = np.zeros((8, 1, 1, 1), np.uint8)
    taken = []
    with pytest.raises(
        training.NonFiniteError, match="parameters after step 2 .epoch 2"
    ):
        for progress in training.train(
            method, images, jax.random.key(0), epochs=4, batch_size=8
        ):
            taken.append(progress.step)
    assert taken == [0, 1]
