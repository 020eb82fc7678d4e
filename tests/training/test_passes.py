"""Stages that are computed in one pass; `spmd_program.py` has several devices."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ocjax import training
from ocjax._checks import InputError
from ocjax.methods import Method, Pass, Stage, State
from ocjax.methods.pca import Config, pca
from ocjax.modules import axis
from ocjax.training import passes
from ocjax.training.checkpoint import Checkpoints

IMAGES = np.zeros((11, 2, 2, 1), np.float32)
IMAGES[:, 0, 0, 0] = np.arange(11) / 16
ROWS = np.array([7, 2, 9, 4, 3, 10, 0])  # In an order of their own.
OPTIONS: dict[str, Any] = {"epochs": 5, "batch_size": 3, "seconds_per_call": 0.0}
# Images are many to an epoch of steps, so that a pass has an odd number of them.
STEPS = {"computed, then steps": 3 + 2 * 5, "steps, then computed": 2 * 5 + 3}


def _start(state, shape, count):
    return {"memory": jnp.zeros((count, *shape)), "seen": jnp.zeros(count)}


def _add(state, sums, images, numbers):
    """Keeps every image, at its number, and counts how often it came."""
    images, numbers = axis.gather((images, numbers))
    rows = jnp.where(numbers < 0, len(sums["seen"]), numbers)
    return {
        "memory": sums["memory"].at[rows].set(images, mode="drop"),
        "seen": sums["seen"].at[rows].add(1.0, mode="drop"),
    }


def _finish(state, sums):
    memory = {"memory": sums["memory"], "seen": sums["seen"]}
    return state._replace(params={**state.params, "memory": memory})


def _init(key, images):
    memory = {"memory": jnp.zeros((1, *images.shape[1:])), "seen": jnp.zeros(1)}
    params = {"memory": memory, "mean": jnp.zeros(())}
    return State(params, {}, {}, jnp.zeros((), jnp.int32))


def _step(state, images, key):
    mean = state.params["mean"] + jax.random.uniform(key) * images.mean()
    params = {**state.params, "mean": mean}
    return state._replace(params=params, step=state.step + 1), {"loss": mean}


COMPUTED = Stage(computed=Pass(("memory",), _start, _add, _finish))
STAGES = {
    "computed": (COMPUTED,),
    "computed, then steps": (COMPUTED, Stage(_step)),
    "steps, then computed": (Stage(_step), COMPUTED),
}
METHODS = {
    name: Method(_init, stages, score=_step, objectives={})
    for name, stages in STAGES.items()
}


def _trained(name="computed", **options):
    """All progress, its states kept."""
    all_options: dict[str, Any] = OPTIONS | {"rows": ROWS} | options
    all_progress = []
    for progress in training.train(
        METHODS[name], IMAGES, jax.random.key(0), **all_options
    ):
        all_progress.append(progress)
        _ = progress.state
    return all_progress


def _assert_same_bits(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("batch_size", [1, 3, 7, 50])
@pytest.mark.parametrize("seconds_per_call", [0.0, 1.0])
def test_a_pass_has_every_image_once_at_its_number(
    streamed, batch_size, seconds_per_call
):
    *_, last = _trained(
        batch_size=batch_size, streamed=streamed, seconds_per_call=seconds_per_call
    )
    assert last.done and last.step == last.state.step == -(-len(ROWS) // batch_size)
    memory = last.state.params["memory"]
    np.testing.assert_array_equal(memory["seen"], np.ones(len(ROWS)))
    np.testing.assert_array_equal(memory["memory"], IMAGES[ROWS])
    assert last.state.sums == {}


def test_progress_of_a_pass_counts_steps_without_losses():
    progress = _trained()
    assert [(p.step, p.count) for p in progress] == [(0, 0), (1, 1), (2, 1), (3, 1)]
    assert [p.ends_epoch for p in progress] == [False, False, False, True]
    assert not any(p.metrics for p in progress) and {p.epoch for p in progress} == {0}
    assert [bool(p.state.sums) for p in progress] == [True, True, True, False]


@pytest.mark.parametrize("name", STEPS)
def test_passes_and_steps_follow_each_other(name):
    progress = _trained(name)
    assert progress[-1].step == progress[-1].state.step == STEPS[name]
    assert progress[-1].epoch == 5 and progress[-1].done
    state = progress[-1].state
    np.testing.assert_array_equal(state.params["memory"]["memory"], IMAGES[ROWS])
    # The steps are those of a method without a pass, but for their keys and orders.
    assert sum(len(p.metrics.get("loss", ())) for p in progress) == 2 * 5
    assert state.params["mean"] > 0


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_saved_state_goes_on_to_the_same_bits(name, streamed, tmp_path):
    whole = _trained(name)
    like = jax.eval_shape(_init, jax.random.key(0), IMAGES[:1])
    for progress in [p for p in whole if p.count]:
        with Checkpoints(tmp_path / str(progress.step)) as checkpoints:
            checkpoints.save(progress.state)
        with Checkpoints(tmp_path / str(progress.step)) as checkpoints:
            state: Any = checkpoints.restore(like, METHODS[name].computes)
        _assert_same_bits(state, progress.state)
        rest = _trained(name, state=state, streamed=streamed)
        assert rest[0].step == progress.step and rest[-1].done
        _assert_same_bits(rest[-1].state, whole[-1].state)


def test_only_what_is_computed_may_have_other_shapes_when_restored(tmp_path):
    *_, last = _trained()
    other = last.state._replace(
        params={**last.state.params, "mean": jnp.zeros(2)}, step=jnp.int32(9)
    )
    like = jax.eval_shape(_init, jax.random.key(0), IMAGES[:1])
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(other)
    with (
        Checkpoints(tmp_path) as checkpoints,
        pytest.raises(InputError, match="No checkpoint"),
    ):
        checkpoints.restore(like, ("memory",))


@pytest.mark.parametrize("where", ["sums", "finish"])
def test_what_is_computed_and_not_finite_ends_training(where):
    def add(state, sums, images, numbers):
        return {"sum": sums["sum"] + (jnp.inf if where == "sums" else 1.0)}

    def finish(state, sums):
        assert where == "finish", "Sums that are not finite are not finished."
        return state._replace(params={"memory": jnp.full(3, jnp.nan)})

    start = lambda state, shape, count: {"sum": jnp.zeros(())}
    computed = Pass(("memory",), start, add, finish)
    method = Method(_init, (Stage(computed=computed),), _step, {})
    with pytest.raises(
        training.NonFiniteError, match=r"step \d \(epoch 1\), computed from the"
    ):
        training.fit(method, IMAGES, jax.random.key(0), epochs=1, batch_size=6)


def test_models_with_a_pass_train_one_after_another():
    models = [training.Model(jax.random.key(i), ROWS[: 3 + i]) for i in range(3)]
    method = METHODS["steps, then computed"]
    done = {}
    for number, progress in training.sweep(
        lambda: method, IMAGES, models, epochs=1, batch_size=3
    ):
        if progress.done:
            done[number] = progress.state.params["memory"]["memory"]
    for i in range(3):
        np.testing.assert_array_equal(done[i], IMAGES[ROWS[: 3 + i]])
    with pytest.raises(ValueError, match="A pass takes one lane"):
        list(
            training.together(
                method,
                IMAGES,
                models,
                epochs=1,
                batch_size=3,
                devices=training.ModelDevices(width=3),
            )
        )


@pytest.mark.parametrize(
    "options, message",
    [
        ({"batch_size": 0}, r"`batch_size` \(=0\)"),
        ({"rows": ROWS[:0]}, "Expected training images, got none"),
    ],
)
def test_sizes_that_cannot_be_are_refused_by_name(options, message):
    with pytest.raises(InputError, match=message):
        _trained(**options)


def test_what_a_pass_cannot_take_is_refused_before_anything_is_computed(monkeypatch):
    monkeypatch.setattr(passes, "program", None)
    images = np.zeros((4, 8, 8, 1), np.uint8)
    with pytest.raises(InputError, match=r"components` \(=4\) must be less than .*=4"):
        training.fit(
            pca(Config(components=4)), images, jax.random.key(0), epochs=1, batch_size=2
        )
