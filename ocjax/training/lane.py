"""A model in training: its position, and the images that its next steps see."""

import copy
import dataclasses
import functools
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ocjax.data.mapping import map_images
from ocjax.methods.base import Groups, Method, Stage, State
from ocjax.training import order, passes, processes
from ocjax.training.feed import Course
from ocjax.training.parallel import Devices

_COMPUTED = ", computed from the training images; look at those."


class NonFiniteError(FloatingPointError):
    """A loss or a parameter became infinite or not a number."""


class Model(NamedTuple):
    """One of several models that share images and a method."""

    key: jax.Array  # Key of all randomness.
    rows: np.ndarray | None = None  # Indices of its images; None for all.
    state: State | Callable[[], State | None] | None = None  # State to go on from,
    # or function that finds it when this model's turn comes; None for a new state.
    hyper: Mapping[str, float] = {}  # Hyper-parameters that are the model's own.


@dataclasses.dataclass(frozen=True)
class Progress:
    """Progress of one model since the last one."""

    fetch: Callable[[int], State]  # Function that `state` calls once, with `step`.
    step: int  # Number of steps taken since training began.
    epoch: int  # Epoch of these steps, counted from 0.
    count: int  # Number of steps since the last one; 0 after a compilation.
    metrics: dict[str, np.ndarray]  # Values `[count]` by name, one for each step.
    seconds: float  # Time that the steps took.
    # Ends the model's training where it is: the next that is heard of it is done.
    stop: Callable[[], None]
    error: NonFiniteError | None = None  # Error that ended this training early.
    ends_epoch: bool = False  # Whether the last of the steps is that of its epoch.
    done: bool = False  # Whether it is the last one of this model.
    last: bool = False  # Whether it is the last one of its compiled call.

    @functools.cached_property
    def state(self) -> State:
        """State after `step` steps, kept when it is first asked for.

        Raises:
          RuntimeError: training has gone on before it is first asked for.
        """
        return self.fetch(self.step)


class Span(NamedTuple):
    """Steps and epochs of a stage, counted from the start of training."""

    first_step: int
    steps_per_epoch: int
    first_epoch: int
    steps: int

    @property
    def epochs(self) -> int:
        """Number of epochs, of which the last one may be cut short."""
        return -(-self.steps // self.steps_per_epoch)

    @property
    def end(self) -> int:
        """The step before which the stage ends."""
        return self.first_step + self.steps

    def epoch(self, step: int) -> int:
        """Epoch of a step of the stage."""
        return self.first_epoch + (step - self.first_step) // self.steps_per_epoch


class Budget(NamedTuple):
    """How long the stages train that have no length of their own; one is not 0."""

    epochs: int = 0  # Epochs, each over all training images.
    steps: int = 0  # Steps, so that the last epoch may be cut short.


def spans(method: Method, count: int, budget: Budget, batch_size: int) -> list[Span]:
    """Steps and epochs of each stage.

    Args:
      method: method whose stages they are.
      count: number of images that train.
      budget: length of the stages that have none themselves.
      batch_size: images of a step.
    """
    stages: list[Span] = []
    first_step = first_epoch = 0
    for stage in method.stages:
        whole, rest = divmod(count, batch_size)
        per_epoch = whole + (1 if rest and stage.computed else 0)
        epochs = 1 if stage.computed else stage.epochs or budget.epochs
        steps = epochs * per_epoch or budget.steps
        span = Span(first_step, per_epoch, first_epoch, steps)
        stages.append(span)
        first_step, first_epoch = span.end, first_epoch + span.epochs
    return stages


def divided(stage: Stage, state: State, images: np.ndarray) -> Groups:
    """Groups that a stage with grades divides host images `[N, S, S, C]` into."""
    assert stage.grade is not None and stage.divide is not None
    return stage.divide(map_images(stage.grade, images, arguments=(state,)))


class Lane:
    """A model in training: its state and step, and the source of its images."""

    def __init__(self, method, images, model: Model, budget: Budget, batch_size: int):
        """Finds the state to go on from, or makes the first one."""
        keys = jax.random.split(model.key, 3)
        self._order_key, self.step_key = keys[1], jax.random.key_data(keys[2])
        self.hyper = {k: np.float32(v) for k, v in model.hyper.items()}
        self.rows = np.arange(len(images)) if model.rows is None else model.rows
        state = model.state() if callable(model.state) else model.state
        if state is None:
            state = jax.jit(method.init)(keys[0], sample(images))
        self.set_state(state)
        self.step = int(state.step)
        self._spans = spans(method, len(self.rows), budget, batch_size)
        self._stages, self._batch_size = method.stages, batch_size
        self._shape = images.shape[1:]
        self._stopped = False
        self.last_epoch = self._spans[-1].first_epoch + self._spans[-1].epochs - 1

    @property
    def finished(self) -> bool:
        """Whether no step is left."""
        return self._stopped or self.step >= self._spans[-1].end

    def next(self, stage: int) -> int | None:
        """Next step of a stage, from 0 on; None after its end."""
        span = self._spans[stage]
        if self._stopped or self.step >= span.end:
            return None
        return self.step - span.first_step

    def set_state(self, state: State) -> None:
        """Notes the state after the steps that were taken."""
        self.fetch = lambda: state

    def state_at(self, step: int) -> State:
        """State after `step` steps, which must be the last, as others are gone."""
        if step != self.step:
            raise RuntimeError(
                f"The state after step {step} is gone, for training is at step "
                f"{self.step}: ask for `Progress.state` before the next one."
            )
        return self.fetch()

    def idle(self) -> "Lane":
        """Makes a lane that takes no steps, where there are more lanes than models."""
        lane = copy.copy(self)
        lane._stopped = True
        return lane

    def begin(self, stage: int) -> None:
        """Makes the sums of a pass before its first step."""
        computed = self._stages[stage].computed
        if computed is not None and self.next(stage) == 0:
            count = len(self.rows)
            self.set_state(passes.begin(computed, self.fetch(), self._shape, count))

    def arguments(self, stage: int) -> Any:
        """What the program of a stage takes as `own`."""
        span = self._spans[stage]
        if self._stages[stage].computed is None:
            course = np.array([span.first_step, span.steps], np.int32)
            return self.step_key, self.hyper, course
        return np.array([span.first_step, len(self.rows), self._batch_size], np.int32)

    def course(self, images: np.ndarray, stage: int, devices: Devices) -> Course:
        """The order of the images in each epoch of a stage that begins, or goes on."""
        span, rows, part = self._spans[stage], self.rows, self._stages[stage]
        batch_size = self._batch_size
        length = span.steps_per_epoch * batch_size
        if part.computed is not None:
            width = -(-batch_size // devices.sharing) * devices.sharing
            of_epoch = order.in_order(len(rows), batch_size, width)
            batch_size = width
        elif part.grade is None or self.next(stage) is None:
            of_epoch = order.shuffled(self._order_key, len(rows), length)
        else:
            # Each process of a job would round in its own way. The members travel as a
            # list, as JAX would sort the names of a mapping.
            members = divided(part, self.fetch(), images[rows]).members
            shared = processes.share(list(members.values()))
            members = dict(zip(members, shared, strict=True))
            order.check_groups(members, batch_size, devices.sharing)
            of_epoch = order.grouped(self._order_key, list(members.values()), length)
        return Course(
            functools.lru_cache(2)(
                lambda epoch: rows[of_epoch(span.first_epoch + epoch)]
            ),
            batch_size,
            span.steps_per_epoch,
            self.next(stage) or 0,
            span.end - span.first_step,
        )

    def compiled(self, stage: int, seconds: float) -> Progress:
        """Progress of a stage that was compiled, before its steps."""
        epoch = self._spans[stage].epoch(self.step)
        return Progress(self.state_at, self.step, epoch, 0, {}, seconds, self.stop)

    def stop(self) -> None:
        """Takes no more steps, as if training had ended here."""
        self._stopped = True

    def ended(self) -> Progress:
        """What there is to say of a model that takes no more steps."""
        return Progress(
            self.state_at, self.step, self.last_epoch, 0, {}, 0.0, self.stop, done=True
        )

    def advance(
        self,
        stage: int,
        count: int,
        metrics: dict[str, np.ndarray],
        finite: bool,
        seconds: float,
    ) -> Progress:
        """Notes `count` steps, and whether parameters are finite; finishes a pass."""
        span, computed = self._spans[stage], self._stages[stage].computed
        error = _non_finite(metrics, self.step, span)
        epoch = span.epoch(self.step)
        self.step += count
        if computed is not None and self.step == span.end and finite:
            start = time.perf_counter()
            state = passes.finish(computed, self.fetch())
            self.set_state(state)
            finite = passes.is_finite(state.params)
            seconds += time.perf_counter() - start
        if not finite and error is None:
            error = NonFiniteError(
                f"Not finite: parameters after step {self.step} (epoch {epoch + 1})"
                f"{'. Try a smaller learning rate.' if computed is None else _COMPUTED}"
            )
        if error:
            self._stopped = True
        return Progress(
            self.state_at,
            self.step,
            epoch,
            count,
            metrics,
            seconds,
            self.stop,
            error,
            ends_epoch=self.step == span.end
            or (self.step - span.first_step) % span.steps_per_epoch == 0,
            done=self.finished,
        )


def sample(images: np.ndarray) -> jax.Array:
    """Makes one image, for its shape."""
    return jnp.zeros((1, *images.shape[1:]))


def _non_finite(metrics, step: int, span: Span) -> NonFiniteError | None:
    """Names the first step with a non-finite metric."""
    bad = {name: ~np.isfinite(values) for name, values in metrics.items()}
    first = {name: int(np.argmax(mask)) for name, mask in bad.items() if mask.any()}
    if not first:
        return None
    offset = min(first.values())
    terms = sorted(name for name, at in first.items() if at == offset)
    step += offset
    return NonFiniteError(
        f"Not finite: {', '.join(terms)} at step {step} (epoch "
        f"{span.epoch(step) + 1}). Try a smaller learning rate."
    )
