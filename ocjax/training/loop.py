"""The one training loop; it knows no method in particular.

A method's stages follow each other, each with its own step, over one state. Many steps
run in one compiled call, which gathers its batches from images on the device. Every
random choice is a function of (key, epoch, step), so that training can
be stopped after any step and resumed to the same bits.
"""

import copy
import dataclasses
import functools
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ocjax._checks import InputError
from ocjax.data import images as images_lib
from ocjax.methods.base import Method, State
from ocjax.training import order, processes
from ocjax.training.feed import MOST_STEPS, Course, Resident, Streamed
from ocjax.training.parallel import Devices

FIRST_STEPS = 1  # In the first compiled call, before its speed is known.


class NonFiniteError(FloatingPointError):
    """A loss or a parameter became infinite or not a number."""


class Model(NamedTuple):
    """What one model has of its own, where several share images and a method."""

    key: jax.Array  # Of all randomness.
    rows: np.ndarray | None = None  # Indices of its images; None for all.
    state: State | Callable[[], State | None] | None = None  # Where to go on, or how
    # to find it when this model's turn comes; None for a new state.
    hyper: Mapping[str, float] = {}  # Hyper-parameters that are the model's own.


@dataclasses.dataclass(frozen=True)
class Progress:
    """What happened to one model since the last one."""

    fetch: Callable[[int], State]  # What `state` calls, once, with `step`.
    step: int  # Steps taken since training began.
    epoch: int  # That these steps belong to, counted from 0.
    metrics: dict[str, np.ndarray]  # `[n]` each: one value for each of the n steps.
    seconds: float  # That the n steps took.
    error: NonFiniteError | None = None  # What ended this model's training early.
    done: bool = False  # No more follows of this model.
    last: bool = False  # No more follows of the compiled call that took the steps.

    @property
    def count(self) -> int:
        """Steps since the last one."""
        return len(next(iter(self.metrics.values()), ()))

    @functools.cached_property
    def state(self) -> State:
        """After `step` steps; kept from when it is first asked for.

        Raises:
          RuntimeError: it is first asked for when training has gone on.
        """
        return self.fetch(self.step)


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
      method: what to train.
      images: shape `[N, S, S, C]`, `uint8`, or floats in `[-1, 1]`
        (`ocjax.data.images.check` brings other ranges there).
      key: of all randomness.
      rows: indices of the images to train on, all of them normal; by default all.
      state: where to go on, by default a new state.
      **options: of `together`.

    Yields:
      `Progress`, at least once for every epoch.

    Raises:
      ValueError: sizes do not fit each other.
      NonFiniteError: a loss is not finite; the epoch, step and term are named. Or a
        parameter is not, after steps whose losses were.
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
    epochs: int,
    batch_size: int,
    devices: Devices | None = None,
    streamed: bool = False,
    steps: Sequence[Callable] | None = None,
    seconds_per_call: float = 1.0,
) -> Iterator[tuple[int, Progress]]:
    """Trains one model in each lane of `devices`, none of which affects another.

    Epochs go over a model's images in random order; the remainder of less than a batch
    is left out.

    Args:
      method: what to train.
      images: shape `[N, S, S, C]`, `uint8`, or floats in `[-1, 1]`; shared.
      models: at most one for each lane.
      epochs: passes over the images in the last stage; earlier ones have their own.
      batch_size: images a step of a model, over all devices that share it.
      devices: where to train; by default one.
      streamed: read batches from host memory as they are needed instead of keeping
        all images on the device; for one lane.
      steps: of each stage `step(state, images, key, **hyper)`; by default `method`'s.
      seconds_per_call: about how long one compiled call may take.

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
    images = check(method, images, models, epochs, batch_size, devices)
    lanes = [_Lane(method, images, model, epochs, batch_size) for model in models]
    for number, lane in enumerate(lanes):
        if lane.finished:
            epoch = lane.step // lane.steps_per_epoch - 1
            yield number, Progress(lane.state_at, lane.step, epoch, {}, 0.0, done=True)
    lanes += [lanes[0].idle() for _ in range(devices.lanes - len(lanes))]
    steps = steps or [stage.step for stage in method.stages]
    for stage, step in enumerate(steps):
        if all(lane.next(stage) is None for lane in lanes):
            continue
        courses = [
            lane.course(method, images, stage, batch_size, devices) for lane in lanes
        ]
        feed = (Streamed if streamed else Resident)(images, courses, devices)
        yield from _take_steps(step, lanes, stage, feed, devices, seconds_per_call)


def fitting_batch_size(method: Method, batch_size: int, count: int) -> int:
    """The batch size, or the largest one that `count` training images allow.

    A smaller one is a multiple of 4 where a stage groups the images, for pairs of two
    kinds.
    """
    if batch_size <= count:
        return batch_size
    grouped = any(stage.groups for stage in method.stages)
    return count - count % 4 if grouped and count >= 4 else count


def total_epochs(method: Method, epochs: int) -> int:
    """Epochs of all stages, the last one having `epochs`."""
    return _ends(method, epochs)[-1]


def _ends(method: Method, epochs: int) -> list[int]:
    """The epoch before which each stage ends."""
    lengths = [stage.epochs or 0 for stage in method.stages[:-1]]
    return list(itertools.accumulate([*lengths, epochs]))


class _Lane:
    """A model in training: where it is, and where it gets its images."""

    def __init__(self, method, images, model: Model, epochs: int, batch_size: int):
        keys = jax.random.split(model.key, 3)
        self._order_key, self.step_key = keys[1], jax.random.key_data(keys[2])
        self.hyper = {k: np.float32(v) for k, v in model.hyper.items()}
        self.rows = np.arange(len(images)) if model.rows is None else model.rows
        state = model.state() if callable(model.state) else model.state
        if state is None:
            state = jax.jit(method.init)(keys[0], _sample(images))
        self.fetch = lambda: state
        self.step = int(state.step)
        self.steps_per_epoch = len(self.rows) // batch_size
        self.stops = [self.steps_per_epoch * end for end in _ends(method, epochs)]

    @property
    def finished(self) -> bool:
        return self.step >= self.stops[-1]

    def next(self, stage: int) -> int | None:
        """The step to take next in a stage; None after its end."""
        return None if self.step >= self.stops[stage] else self.step

    def state_at(self, step: int) -> State:
        """The state after `step` steps: of the last step alone, others are gone."""
        if step != self.step:
            raise RuntimeError(
                f"The state after step {step} is gone, for training is at step "
                f"{self.step}: ask for `Progress.state` before the next one."
            )
        return self.fetch()

    def stop(self) -> None:
        """Takes no more steps."""
        self.stops = [0] * len(self.stops)

    def idle(self) -> "_Lane":
        """A lane that takes no steps, where there are more lanes than models."""
        lane = copy.copy(self)
        lane.stop()
        return lane

    def course(self, method, images, stage: int, batch_size: int, devices) -> Course:
        """The order of the images in each epoch of a stage that begins, or goes on."""
        length, rows = self.steps_per_epoch * batch_size, self.rows
        groups = method.stages[stage].groups
        if groups is None or self.next(stage) is None:
            found = order.shuffled(self._order_key, len(rows), length)
        else:
            # Of a job's processes each would round in its own way. As a list, for of
            # a mapping JAX would sort the names.
            found = groups(self.fetch(), images[rows]).members
            shared = processes.share(list(found.values()))
            members = dict(zip(found, shared, strict=True))
            order.check_groups(members, batch_size, devices.sharing)
            found = order.grouped(self._order_key, list(members.values()), length)
        return Course(
            functools.lru_cache(2)(lambda epoch: rows[found(epoch)]),
            batch_size,
            self.steps_per_epoch,
            self.step,
            self.stops[stage],
        )

    def advance(
        self, count: int, metrics, finite: bool, seconds: float, last: bool
    ) -> Progress:
        """Notes that `count` steps were taken, and whether parameters are finite."""
        error = _non_finite(metrics, self.step, self.steps_per_epoch)
        epoch = self.step // self.steps_per_epoch
        self.step += count
        if not finite and error is None:
            error = NonFiniteError(
                f"Not finite: parameters after step {self.step} (epoch {epoch + 1}). "
                "Try a smaller learning rate."
            )
        if error:
            self.stop()
        return Progress(
            self.state_at,
            self.step,
            epoch,
            metrics,
            seconds,
            error,
            self.finished,
            last,
        )


def _take_steps(
    step: Callable,
    lanes: Sequence[_Lane],
    stage: int,
    feed: Resident | Streamed,
    devices: Devices,
    seconds_per_call: float,
) -> Iterator[tuple[int, Progress]]:
    """Brings all lanes to the end of a stage."""
    run = _program(step, devices)
    own = devices.own([(lane.step_key, lane.hyper) for lane in lanes])

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
            epoch = lane.step // lane.steps_per_epoch
            yield number, Progress(lane.state_at, lane.step, epoch, {}, seconds)
    while True:
        (state, metrics, finite), seconds = call(state, piece, piece.steps)
        states = functools.cache(functools.partial(devices.each, state))
        logged = jax.device_get(devices.each((metrics, finite)))
        last = max(number for number, count in enumerate(piece.steps) if count)
        for number, (lane, count) in enumerate(zip(lanes, piece.steps, strict=True)):
            lane.fetch = _item(states, number)
            if count:
                rows, finite = logged[number]
                taken = {name: values[:count] for name, values in rows.items()}
                yield (
                    number,
                    lane.advance(count, taken, bool(finite), seconds, number == last),
                )
        upcoming = [lane.next(stage) for lane in lanes]
        if all(step is None for step in upcoming):
            return
        limit = int(seconds_per_call * max(piece.steps) / seconds)
        piece = feed.take(upcoming, max(1, processes.agree(limit)))


def _item(function: Callable[[], Sequence], number: int) -> Callable:
    return lambda: function()[number]


@functools.lru_cache(8)
def _program(step: Callable, devices: Devices) -> Callable:
    """The compiled loop of a step, for all models that take it one after another."""
    return devices.map(functools.partial(run_steps, step))


def run_steps(
    step: Callable,
    state: State,
    images: jax.Array,
    order: jax.Array,
    own: tuple[jax.Array, Mapping[str, jax.Array]],
    count: jax.Array,
) -> tuple[State, dict[str, jax.Array], jax.Array]:
    """Takes `count` steps; one program for any count up to `MOST_STEPS`.

    Args:
      step: `step(state, images, key, **hyper)`.
      state: before the steps.
      images: shape `[..., S, S, C]`, leading axes taken as one.
      order: indices of the images of each batch, shape `[steps, B]`.
      own: data of the key of which each step gets its own part, by its number; and
        `hyper`.
      count: steps to take.

    Returns:
      The state after them; each metric with shape `[MOST_STEPS]`, the first `count`
      values filled; and whether all parameters are finite.
    """
    images = images.reshape(-1, *images.shape[-3:])  # Streamed: `[steps, B, ...]`.
    key, hyper = jax.random.wrap_key_data(own[0]), own[1]
    step = jax.jit(step, inline=True)  # Traced once, though called twice.

    def one(state, row):
        batch = images_lib.to_float(images[order[row]])
        return step(state, batch, jax.random.fold_in(key, state.step), **hyper)

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
    epochs: int,
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
    if not 1 <= batch_size <= fewest:
        raise InputError(
            f"`batch_size` (={batch_size}) must be at least 1 and not exceed the "
            f"number of training images (={fewest})."
        )
    if epochs < 1:
        raise InputError(f"`epochs` (={epochs}) must be at least 1.")
    devices.check_batch_size(batch_size)
    # Compiled later on: so it is traced once.
    jax.eval_shape(jax.jit(method.init), jax.random.key(0), _sample(images))
    return images


def _sample(images: np.ndarray) -> jax.Array:
    """One image, for its shape."""
    return jnp.zeros((1, *images.shape[1:]))


def _non_finite(metrics, step: int, steps_per_epoch: int) -> NonFiniteError | None:
    """Names the first step with a non-finite metric."""
    bad = {name: ~np.isfinite(values) for name, values in metrics.items()}
    first = {name: int(np.argmax(where)) for name, where in bad.items() if where.any()}
    if not first:
        return None
    offset = min(first.values())
    terms = sorted(name for name, at in first.items() if at == offset)
    step += offset
    return NonFiniteError(
        f"Not finite: {', '.join(terms)} at step {step} (epoch "
        f"{step // steps_per_epoch + 1}). Try a smaller learning rate."
    )
