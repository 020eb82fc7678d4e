"""The one training loop; it knows no method in particular.

A method's stages follow each other, each with its own step, over one state. Many steps
run in one compiled call, which gathers its batches from images on the device. Every
random choice is a function of (key, epoch, step), so that training can
be stopped after any step and resumed to the same bits.
"""

import functools
import itertools
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ocjax._checks import InputError
from ocjax.data import images as images_lib
from ocjax.methods.base import Method, Stage, State
from ocjax.training import order
from ocjax.training.feed import Piece, Plan, Resident, Streamed
from ocjax.training.parallel import Devices

FIRST_STEPS = 4  # In the first compiled call, before its speed is known.
MOST_STEPS = 256  # In one compiled call: room for their metrics.


class NonFiniteError(ArithmeticError):
    """A loss became infinite or not a number."""


class Progress(NamedTuple):
    """What happened since the last one."""

    state: State  # After `step` steps.
    step: int  # Steps taken since training began.
    epoch: int  # That these steps belong to, counted from 0.
    metrics: dict[str, np.ndarray]  # `[n]` each: one value for each of the n steps.
    seconds: float  # That the n steps took.


def fit(method: Method, images: np.ndarray, key: jax.Array, **options) -> State:
    """Trains to the end and returns the last state; arguments are `train`'s."""
    *_, last = train(method, images, key, **options)
    return last.state


def train(
    method: Method,
    images: np.ndarray,
    key: jax.Array,
    *,
    epochs: int,
    batch_size: int,
    state: State | None = None,
    devices: Devices | None = None,
    streamed: bool = False,
    seconds_per_call: float = 1.0,
) -> Iterator[Progress]:
    """Trains, yielding after every compiled call.

    Epochs go over the images in random order; the remainder of less than a batch is
    left out. Each stage begins with a `Progress` that has no steps: its seconds are the
    compilation.

    Args:
      method: what to train, built with the `axis_name` of `devices`.
      images: normal images, shape `[N, S, S, C]`, `uint8`, or floats in `[-1, 1]`
        (`ocjax.data.images.check` brings other ranges there).
      key: of all randomness.
      epochs: passes over the images in the last stage; earlier ones have their own.
      batch_size: images a step, over all devices.
      state: where to go on, by default a new state.
      devices: that share each batch; by default one.
      streamed: read batches from host memory as they are needed instead of keeping
        all images on the device.
      seconds_per_call: about how long one compiled call may take.

    Yields:
      `Progress`, at least once for every epoch.

    Raises:
      ValueError: sizes do not fit each other.
      NonFiniteError: a loss is not finite; the epoch, step and term are named.
    """
    devices = devices or Devices()
    images = check(method, images, epochs, batch_size, devices)
    init_key, order_key, step_key = jax.random.split(key, 3)
    begun = jax.jit(method.init)(init_key, _sample(images)) if state is None else state
    steps_per_epoch, step = len(images) // batch_size, int(begun.step)
    stops = [steps_per_epoch * end for end in _ends(method, epochs)]
    if step >= stops[-1]:
        yield Progress(begun, step, step // steps_per_epoch - 1, {}, 0.0)
    for stage, stop in zip(method.stages, stops, strict=True):
        if step >= stop:
            continue
        indices = _order(stage, begun, images, order_key, batch_size, devices)
        plan = Plan(batch_size, steps_per_epoch, step, stop)
        feed = (Streamed if streamed else Resident)(images, indices, plan, devices)
        for progress in _steps(
            stage, begun, feed, plan, step_key, devices, seconds_per_call
        ):
            yield progress
            begun, step = progress.state, progress.step


def total_epochs(method: Method, epochs: int) -> int:
    """Epochs of all stages, the last one having `epochs`."""
    return _ends(method, epochs)[-1]


def _ends(method: Method, epochs: int) -> list[int]:
    """The epoch before which each stage ends."""
    lengths = [stage.epochs or 0 for stage in method.stages[:-1]]
    return list(itertools.accumulate([*lengths, epochs]))


def _order(
    stage: Stage,
    state: State,
    images: np.ndarray,
    key: jax.Array,
    batch_size: int,
    devices: Devices,
) -> order.Order:
    """The order of the images in each epoch of a stage that begins, or goes on."""
    length = len(images) // batch_size * batch_size
    if stage.groups is None:
        return order.shuffled(key, len(images), length)
    members = stage.groups(state, images).members
    order.check_groups(members, batch_size, devices.count)
    return order.grouped(key, list(members.values()), length)


def _steps(
    stage: Stage,
    state: State,
    feed: Resident | Streamed,
    plan: Plan,
    key: jax.Array,
    devices: Devices,
    seconds_per_call: float,
) -> Iterator[Progress]:
    """Takes the steps of `plan`, which begin after `state`."""
    run = devices.map(
        functools.partial(run_steps, stage.step), (0, 0, 0, None, None, None)
    )
    step, per_epoch = plan.first, plan.steps_per_epoch
    piece = feed.take(step, FIRST_STEPS)
    current = devices.replicate(state)
    _, seconds = _timed(run, current, key, piece._replace(steps=0))
    yield Progress(state, step, step // per_epoch, {}, seconds)
    while True:
        (current, metrics), seconds = _timed(run, current, key, piece)
        metrics = jax.device_get(devices.first(metrics))
        metrics = {name: values[: piece.steps] for name, values in metrics.items()}
        _check_finite(metrics, step, per_epoch)
        epoch, step = step // per_epoch, step + piece.steps
        yield Progress(devices.first(current), step, epoch, metrics, seconds)
        if step == plan.last:
            return
        limit = int(seconds_per_call * piece.steps / seconds)
        piece = feed.take(step, max(1, min(MOST_STEPS, limit)))


def run_steps(
    step: Callable,
    state: State,
    images: jax.Array,
    order: jax.Array,
    key: jax.Array,
    first: jax.Array,
    count: jax.Array,
) -> tuple[State, dict[str, jax.Array]]:
    """Takes `count` steps; one program for any count up to `MOST_STEPS`.

    Args:
      step: the method's.
      state: before the steps.
      images: shape `[..., S, S, C]`, leading axes taken as one.
      order: indices of the images of each batch, shape `[steps, B]`.
      key: of which each step gets its own part, by its number.
      first: row of `order` to begin with.
      count: steps to take.

    Returns:
      The state after them, and each metric with shape `[MOST_STEPS]`, the first
      `count` values filled.
    """
    images = images.reshape(-1, *images.shape[-3:])  # Streamed: `[steps, B, ...]`.

    def one(state, row):
        batch = images_lib.to_float(images[order[row]])
        return step(state, batch, jax.random.fold_in(key, state.step))

    def body(i, carry):
        state, log = carry
        state, metrics = one(state, first + i)
        return state, jax.tree.map(lambda all, new: all.at[i].set(new), log, metrics)

    _, metrics = jax.eval_shape(one, state, 0)
    log = jax.tree.map(lambda m: jnp.zeros(MOST_STEPS, m.dtype), metrics)
    return jax.lax.fori_loop(0, count, body, (state, log))


def _timed(run: Callable, state: State, key: jax.Array, piece: Piece):
    start = time.perf_counter()
    done = run(state, piece.images, piece.order, key, piece.first, piece.steps)
    return jax.block_until_ready(done), time.perf_counter() - start


def check(
    method: Method, images: np.ndarray, epochs: int, batch_size: int, devices: Devices
) -> np.ndarray:
    """Returns the images, if `train` can train on them; costs next to nothing.

    Raises:
      ValueError: sizes do not fit each other, or values are out of range.
      TypeError: images are neither `uint8` nor floating point.
    """
    images = images_lib.check_ready(images)
    if not 1 <= batch_size <= len(images):
        raise InputError(
            f"`batch_size` (={batch_size}) must be at least 1 and not exceed the "
            f"number of training images (={len(images)})."
        )
    if epochs < 1:
        raise InputError(f"`epochs` (={epochs}) must be at least 1.")
    devices.check_batch_size(batch_size)
    if method.axis_name != devices.axis_name:
        raise ValueError(
            f"`method` was built with axis_name={method.axis_name!r}, but these "
            f"{devices.count} devices need {devices.axis_name!r}."
        )
    jax.eval_shape(method.init, jax.random.key(0), _sample(images))
    return images


def _sample(images: np.ndarray) -> jax.Array:
    """One image, for its shape."""
    return jnp.zeros((1, *images.shape[1:]))


def _check_finite(metrics, step: int, steps_per_epoch: int) -> None:
    """Raises `NonFiniteError` at the first step with a non-finite metric."""
    bad = {name: ~np.isfinite(values) for name, values in metrics.items()}
    first = {name: int(np.argmax(where)) for name, where in bad.items() if where.any()}
    if not first:
        return
    offset = min(first.values())
    terms = sorted(name for name, at in first.items() if at == offset)
    step += offset
    raise NonFiniteError(
        f"Not finite: {', '.join(terms)} at step {step} (epoch "
        f"{step // steps_per_epoch + 1}). Try a smaller learning rate."
    )
