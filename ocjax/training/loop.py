"""The one training loop; it knows no method in particular.

A method's stages follow each other, each with its own step or pass, over one state.
Many steps run in one compiled call, which gathers its batches from images on the
device. Every random choice is a function of (key, epoch, step), so that training can
be stopped after any step and resumed to the same bits.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from ocjax._checks import InputError
from ocjax.data import images as images_lib
from ocjax.methods.base import Method, State
from ocjax.training import passes, processes
from ocjax.training.feed import MOST_STEPS, Resident, Streamed
from ocjax.training.lane import Budget, Lane, Model, Progress, sample
from ocjax.training.parallel import Devices
from ocjax.training.schedule import CONSTANT, Schedule

FIRST_STEPS = 1  # Steps of the first compiled call, before its speed is known.


def fit(method: Method, images: np.ndarray, key: jax.Array, **options) -> State:
    """Trains to the end and returns the last state; arguments are `train`'s."""
    for progress in train(method, images, key, **options):
        if progress.done:
            return progress.state
    raise AssertionError("Training ends with a progress that is done.")


def train(
    method: Method,
    images: np.ndarray,
    key: jax.Array,
    *,
    rows: np.ndarray | None = None,
    state: State | None = None,
    **options,
) -> Iterator[Progress]:
    """Trains one model, yielding after every compiled call.

    Each stage begins with a `Progress` that has no steps: its seconds are the
    compilation.

    Args:
      method: method to train.
      images: images `[N, S, S, C]`, `uint8`, or floats in `[-1, 1]`
        (`ocjax.data.images.check` brings other ranges there).
      key: key of all randomness.
      rows: indices of the images to train on, all of them normal; by default all.
      state: state to go on from, by default a new one.
      **options: options of `together`.

    Yields:
      `Progress`, at least once for every epoch.

    Raises:
      ValueError: sizes do not fit each other.
      NonFiniteError: a loss is not finite, and the epoch, step and term are named; or
        a parameter is not, after steps whose losses were.
    """
    for _, progress in together(method, images, [Model(key, rows, state)], **options):
        if progress.error:
            raise progress.error
        yield progress


def together(
    method: Method,
    images: np.ndarray,
    models: Sequence[Model],
    *,
    batch_size: int,
    epochs: int = 0,
    steps: int = 0,
    schedule: Schedule = CONSTANT,
    devices: Devices | None = None,
    streamed: bool = False,
    programs: Sequence[Callable] | None = None,
    seconds_per_call: float = 1.0,
) -> Iterator[tuple[int, Progress]]:
    """Trains one model in each lane of `devices`, none of which affects another.

    Epochs go over a model's images in random order; the remainder of less than a batch
    is left out. A pass goes over all of them, in their order.

    Args:
      method: method to train.
      images: images `[N, S, S, C]` of all models, `uint8`, or floats in `[-1, 1]`.
      models: at most one for each lane.
      batch_size: images of a step of a model, over all devices that share it.
      epochs: length of the last stage with steps, earlier ones having their own; or 0.
      steps: the same length in steps, where `epochs` is 0.
      schedule: factor of the learning rates in the course of each stage.
      devices: devices that train; by default one.
      streamed: whether to read batches from host memory as they are needed, instead
        of keeping all images on the device; for one lane.
      programs: `step(state, images, key, **hyper)` of each stage; by default
        `method`'s.
      seconds_per_call: time that one compiled call may take, about.

    Yields:
      The number of a model and its `Progress`. The last one of each is `done`; it has
      an `error` where a loss or a parameter was not finite, and its state is of no use
      then.

    Raises:
      ValueError: sizes do not fit each other.
    """
    devices = devices or Devices()
    if streamed and devices.lanes > 1:
        raise ValueError(
            f"Images are streamed to one lane, and `devices` has {devices.lanes}."
        )
    if method.computes and devices.lanes > 1:
        raise ValueError(f"A pass takes one lane, and `devices` has {devices.lanes}.")
    budget = Budget(epochs, steps)
    images = check(method, images, models, budget, batch_size, devices)
    lanes = [Lane(method, images, model, budget, batch_size) for model in models]
    for number, lane in enumerate(lanes):
        if lane.finished:
            yield number, lane.ended()
    lanes += [lanes[0].idle() for _ in range(devices.lanes - len(lanes))]
    for number, stage in enumerate(method.stages):
        if all(lane.next(number) is None for lane in lanes):
            continue
        for lane in lanes:
            lane.begin(number)
        courses = [lane.course(images, number, devices) for lane in lanes]
        feed = (Streamed if streamed else Resident)(images, courses, devices)
        if stage.computed is not None:
            run = passes.program(stage.computed, devices)
        else:
            step = programs[number] if programs else stage.step
            run = _program(step, devices, schedule)
        yield from _take_steps(run, lanes, number, feed, devices, seconds_per_call)


def fitting_batch_size(method: Method, batch_size: int, count: int) -> int:
    """Batch size, or the largest one that `count` training images allow.

    Smaller sizes are a multiple of 4 where a stage groups the images, for pairs of
    two kinds.
    """
    if batch_size <= count:
        return batch_size
    grouped = any(stage.grade for stage in method.stages)
    return count - count % 4 if grouped and count >= 4 else count


def _take_steps(
    run: Callable,
    lanes: Sequence[Lane],
    stage: int,
    feed: Resident | Streamed,
    devices: Devices,
    seconds_per_call: float,
) -> Iterator[tuple[int, Progress]]:
    """Brings all lanes to the end of a stage."""
    own = devices.own([lane.arguments(stage) for lane in lanes])

    def call(state, piece, counts):
        counts = devices.own([np.int32(count) for count in counts])
        start = time.perf_counter()
        done = run(state, piece.images, piece.order, own, counts)
        return jax.block_until_ready(done), time.perf_counter() - start

    state = devices.own([lane.fetch() for lane in lanes])
    piece = feed.take([lane.next(stage) for lane in lanes], FIRST_STEPS)
    _, seconds = call(state, piece, [0] * len(lanes))
    for number, lane in enumerate(lanes):
        if lane.next(stage) is not None:
            yield number, lane.compiled(stage, seconds)
            if lane.finished:
                yield number, lane.ended()
    goes_on = [lane.next(stage) is not None for lane in lanes]
    piece = piece._replace(steps=tuple(np.where(goes_on, piece.steps, 0).tolist()))
    while any(piece.steps):
        (state, metrics, finite), seconds = call(state, piece, piece.steps)
        states = functools.cache(functools.partial(devices.each, state))
        logged = jax.device_get(devices.each((metrics, finite)))
        last = max(number for number, count in enumerate(piece.steps) if count)
        for number, (lane, count) in enumerate(zip(lanes, piece.steps, strict=True)):
            lane.fetch = _item(states, number)
            if count:
                rows, finite = logged[number]
                taken = {name: values[:count] for name, values in rows.items()}
                progress = lane.advance(stage, count, taken, bool(finite), seconds)
                yield number, dataclasses.replace(progress, last=number == last)
                if lane.finished and not progress.done:
                    yield number, lane.ended()
        upcoming = [lane.next(stage) for lane in lanes]
        if all(step is None for step in upcoming):
            return
        limit = int(seconds_per_call * max(piece.steps) / seconds)
        piece = feed.take(upcoming, max(1, processes.agree(limit)))


def _item(function: Callable[[], Sequence], number: int) -> Callable:
    return lambda: function()[number]


@functools.lru_cache(8)
def _program(step: Callable, devices: Devices, schedule: Schedule) -> Callable:
    """The compiled loop of a step, for all models that take it one after another."""
    return devices.map(functools.partial(run_steps, step, schedule=schedule))


def run_steps(
    step: Callable,
    state: State,
    images: jax.Array,
    order: jax.Array,
    own: tuple[jax.Array, Mapping[str, jax.Array], jax.Array],
    count: jax.Array,
    schedule: Schedule = CONSTANT,
) -> tuple[State, dict[str, jax.Array], jax.Array]:
    """Takes `count` steps; one program for any count up to `MOST_STEPS`.

    Args:
      step: function `step(state, images, key, **hyper)`.
      state: state before the steps.
      images: images `[..., S, S, C]`, leading axes taken as one.
      order: indices of the images of each batch, shape `[steps, B]`.
      own: data of the key of which each step gets its own part, by its number;
        `hyper`; and the stage's first step and number of steps.
      count: number of steps to take.
      schedule: factor of the learning rates in the course of the stage.

    Returns:
      State after them; each metric with shape `[MOST_STEPS]`, the first `count`
      values filled; and whether all parameters are finite.
    """
    images = images.reshape(-1, *images.shape[-3:])  # Streamed: `[steps, B, ...]`.
    key, hyper, (first, steps) = jax.random.wrap_key_data(own[0]), own[1], own[2]
    step = jax.jit(step, inline=True)  # Traced once, though called twice.

    def one(state, row):
        batch = images_lib.to_float(images[order[row]])
        step_key = jax.random.fold_in(key, state.step)
        state = state._replace(rate=schedule.factor(state.step - first, steps))
        state, metrics = step(state, batch, step_key, **hyper)
        return state._replace(rate=None), metrics

    def body(i, carry):
        state, log = carry
        state, metrics = one(state, i)
        return state, jax.tree.map(lambda all, new: all.at[i].set(new), log, metrics)

    _, metrics = jax.eval_shape(one, state, jnp.int32(0))
    log = jax.tree.map(lambda m: jnp.zeros(MOST_STEPS, m.dtype), metrics)
    state, log = jax.lax.fori_loop(0, count, body, (state, log))
    finite = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(state.params)]
    return state, log, jnp.array(finite, bool).all()


def check(
    method: Method,
    images: np.ndarray,
    models: Sequence[Model],
    budget: Budget,
    batch_size: int,
    devices: Devices,
) -> np.ndarray:
    """Returns the images, if `together` can train on them; compiles nothing.

    Raises:
      ValueError: sizes do not fit each other, or values are out of range.
      TypeError: images are neither `uint8` nor floating point.
    """
    images = images_lib.check_ready(images)
    fewest = min(len(images if m.rows is None else m.rows) for m in models)
    if fewest < 1:
        raise InputError("Expected training images, got none.")
    if batch_size < 1 or (method.descends and batch_size > fewest):
        raise InputError(
            f"`batch_size` (={batch_size}) must be at least 1 and not exceed the "
            f"number of training images (={fewest})."
        )
    if method.descends and (budget.epochs > 0) == (budget.steps > 0):
        raise InputError(
            f"Expected either `epochs` (={budget.epochs}) or `steps` "
            f"(={budget.steps}) of at least 1, and the other one 0."
        )
    if method.descends:
        devices.check_batch_size(batch_size)
    # It is compiled later on, so that it is traced once.
    state = jax.eval_shape(jax.jit(method.init), jax.random.key(0), sample(images))
    passes.check(method, state, images.shape[1:], fewest)
    return images
