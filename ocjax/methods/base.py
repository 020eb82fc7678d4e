"""Definition of a method: pure functions over one explicit state.

A method is an `init`, stages of training and a `score`, with its losses listed as
data: each `Objective` says what it minimizes, which networks it trains and how. A
`Pass` computes from the training images, without descent.
Networks are named; parameters, BatchNorm statistics and optimizer states are mappings
by name.

Images are floats `[B, S, S, C]` in `[-1, 1]`.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from ocjax.modules import apply, axis

Networks = apply.Networks
Metrics = Mapping[str, jax.Array]  # Scalars, each under the name it has in the paper.


class Aux(NamedTuple):
    """Statistics and metrics that a loss returns beside its value."""

    stats: Networks  # Updated BatchNorm statistics, only of networks the loss owns.
    metrics: Metrics  # Unweighted terms.


class Objective(NamedTuple):
    """A loss, the networks it trains, and the optimizer that trains them."""

    loss: Callable  # loss(params, stats, images, key) -> (scalar, Aux)
    trains: tuple[str, ...]  # Names of networks; all others are constants to it.
    optimizer: optax.GradientTransformation


class State(NamedTuple):
    """Everything that training reads and writes."""

    params: Networks
    stats: Networks  # BatchNorm statistics, same keys; {} without BatchNorm.
    opt: Mapping[str, optax.OptState]  # One for each objective.
    step: jax.Array  # Number of steps taken, int32 scalar.
    # Sums of a pass so far, nested mappings of arrays; {} outside of it.
    sums: Mapping[str, Any] = {}
    # Factor of all learning rates in this step; None for 1, and between steps.
    rate: jax.Array | None = None


class Groups(NamedTuple):
    """A division of the training images that a stage asks for."""

    members: Mapping[str, np.ndarray]  # Indices into the training images by name.
    grades: Mapping[str, np.ndarray]  # Measures `[N]` it was made by, by name.


class Pass(NamedTuple):
    """A computation from all training images, gone through once in their order.

    Each image counts once, the remainder of less than a batch too. `add` is compiled,
    and written for one device as a step is: on several, each has a part of the batch,
    and `axis.total` or `axis.gather` make sums that are the same on all. `finish` runs
    on the host and may use what it likes there.
    """

    # Names of the parameters that `finish` computes. `init` has them too, with the
    # same names and dtypes inside; shapes may depend on the images.
    computes: tuple[str, ...]
    # start(state, shape, count) -> sums before the first image, nested mappings of
    # arrays; `count` images of `shape`, (S, S, C), are to come.
    start: Callable
    # add(state, sums, images, numbers) -> sums of the same shapes. `numbers`, int32
    # `[B]`, are those of the images in the pass, from 0 on; -1 of images that fill up
    # a batch and must not count.
    add: Callable
    finish: Callable  # finish(state, sums) -> State


class Stage(NamedTuple):
    """A part of training: some epochs of one kind of step, or one pass.

    Where a stage has `grade` and `divide`, it divides the training images when it
    begins: a batch of an epoch takes one image of each group in turn (`images[0::2]`
    and `images[1::2]` of two groups), each group in random order and over again as
    often as it takes to fill the epoch.
    """

    step: Any = None  # step(state, images, key) -> (State, Metrics); None for a pass.
    # Number of epochs; None for the run's, in the last stage with steps alone.
    epochs: int | None = None
    # grade(state, images) -> [B], each value of its own image alone; higher is more
    # atypical.
    grade: Callable | None = None
    divide: Callable | None = None  # divide(grades `[N]` on the host) -> Groups
    computed: Pass | None = None  # Pass in place of a step.


class Nearest(NamedTuple):
    """Parts of normal training images that are most like the oddest part of an image.

    Parts are boxes (left, top, right, bottom), shares of an image's sides in [0, 1],
    all of one size.
    """

    odd: jax.Array  # Part of the image that is farthest from all normal ones, [B, 4].
    numbers: jax.Array  # Of the training images, int32 [B, k], nearest first.
    parts: jax.Array  # Of these, [B, k, 4].


class Views(NamedTuple):
    """Functions for pictures of a method beside its reconstructions.

    Each is a function of the state and of images, each value of its own image alone.
    """

    images: Mapping[str, Callable] = {}  # (state, images) -> images, steps of a score.
    latents: Mapping[str, Callable] = {}  # (state, images) -> [B, D], all of one space.
    measures: Mapping[str, Callable] = {}  # (state, images) -> [B], or [B, channels].
    decode: Callable | None = None  # (state, latents, (S, S, C)) -> images.
    distance: Callable | None = None  # (state, images, others) -> [B] in [0, 1].
    nearest: Callable | None = None  # (state, images) -> Nearest.


class Method(NamedTuple):
    """A one-class method."""

    init: Callable  # init(key, images) -> State; only the shape of images matters.
    stages: tuple[Stage, ...]  # Stages in their order; most methods have one.
    score: Callable  # score(state, images) -> [B], higher is more anomalous.
    objectives: Mapping[str, Objective]  # Objectives of all stages by name.
    # (state, images) -> images of equal shape in [-1, 1], that the score compares with.
    reconstruct: Callable | None = None
    embed: Callable | None = None  # (state, images) -> latents [B, D].
    # (state, images) -> heatmaps [B, S, S] of at least 0, larger where an image is more
    # anomalous; `evaluation.heatmaps` makes them of the others where this is None.
    anomaly_map: Callable | None = None
    # (state, images) -> [B] of at least 0, what training lowers on normal images; None
    # for the error of `reconstruct`.
    error: Callable | None = None
    views: Views = Views()
    diagnose: Callable | None = None  # (state, images, key) -> Metrics, now and then.
    score_batchwise: Callable | None = None  # The score by statistics of the batch.
    # Name and version of frozen weights, which the functions have and states have not;
    # "" without any.
    weights: str = ""

    @property
    def descends(self) -> bool:
        """Whether any stage takes steps, so that epochs and losses mean something."""
        return any(stage.step is not None for stage in self.stages)

    @property
    def computes(self) -> tuple[str, ...]:
        """Names of the parameters that passes compute."""
        passes = [stage.computed for stage in self.stages if stage.computed]
        return tuple(name for computed in passes for name in computed.computes)


class Autoencoding(NamedTuple):
    """Functions of a trained encoder and decoder, as `Method` and `Views` have them."""

    embed: Callable  # (state, images) -> latents [B, D].
    decode: Callable  # (state, latents, (S, S, C)) -> images.
    reconstruct: Callable  # (state, images) -> images of equal shape.


def init_state(
    key: jax.Array,
    modules: Mapping[str, tuple],
    objectives: Mapping[str, Objective],
) -> State:
    """Returns the state before training, of all networks that an objective trains.

    Args:
      key: randomness; each network has its own part, whichever others are trained.
      modules: name -> (module, *inputs); only the shapes of inputs matter.
      objectives: name -> objective.

    Returns:
      A `State` at step 0.
    """
    trained = {name for objective in objectives.values() for name in objective.trains}
    keys = jax.random.split(key, len(modules))
    networks = {
        name: apply.init(module, module_key, *inputs)
        for module_key, (name, (module, *inputs)) in zip(
            keys, modules.items(), strict=True
        )
        if name in trained
    }
    params = {name: network[0] for name, network in networks.items()}
    stats = {name: network[1] for name, network in networks.items()}
    opt = {
        name: objective.optimizer.init(_pick(params, objective.trains))
        for name, objective in objectives.items()
    }
    return State(params, stats, opt, jnp.zeros((), jnp.int32))


def wrapped(method: Method, wrap: Callable[[Callable], Callable]) -> Method:
    """Wraps every function that scores, shows or grades; what trains stays as it is.

    Args:
      method: any method.
      wrap: function of one of them, `f(state, images, ...)`, that returns another.
    """

    def optional(function: Callable | None) -> Callable | None:
        return function and wrap(function)

    def each(functions: Mapping[str, Callable]) -> dict[str, Callable]:
        return {name: wrap(function) for name, function in functions.items()}

    stages = [s._replace(grade=optional(s.grade)) for s in method.stages]
    views = method.views
    return method._replace(
        stages=tuple(stages),
        score=wrap(method.score),
        reconstruct=optional(method.reconstruct),
        embed=optional(method.embed),
        anomaly_map=optional(method.anomaly_map),
        error=optional(method.error),
        score_batchwise=optional(method.score_batchwise),
        views=Views(
            images=each(views.images),
            latents=each(views.latents),
            measures=each(views.measures),
            decode=optional(views.decode),
            distance=optional(views.distance),
            nearest=optional(views.nearest),
        ),
    )


def of_one_pass(
    name: str,
    *,
    init: Callable,
    start: Callable,
    add: Callable,
    finish: Callable,
    score: Callable,
    **options: Any,
) -> Method:
    """Builds a method that has one pass and trains no networks.

    Args:
      name: name of its parameters in a state.
      init: init(key, images) -> parameters before the pass.
      start: start(state, shape, count) -> sums, as in `Pass`.
      add: add(state, sums, images, numbers) -> sums, as in `Pass`.
      finish: finish(parameters, sums) -> parameters; on the host.
      score: score(state, images) -> [B], as in `Method`.
      **options: other fields of `Method`.
    """

    def first_state(key, images):
        params = {name: init(key, images)}
        return State(params, {name: {}}, {}, jnp.zeros((), jnp.int32))

    def last_state(state, sums):
        computed = finish(state.params[name], sums)
        return state._replace(params={**state.params, name: computed})

    stage = Stage(computed=Pass((name,), start, add, last_state))
    return Method(first_state, (stage,), score, {}, **options)


def simultaneous(
    objectives: Mapping[str, Objective],
    state: State,
    images: jax.Array,
    key: jax.Array,
) -> tuple[State, Metrics]:
    """Takes one step on every objective, all gradients taken at the same parameters.

    Forward passes that several losses write down are computed once: they are the same
    program, and the compiler merges them.

    Args:
      objectives: name -> objective; no network may be trained by two of them.
      state: state before the step.
      images: batch, shape `[B, S, S, C]`, in `[-1, 1]`.
      key: randomness of this step.

    Returns:
      The next state, and the metrics of all objectives.
    """
    gradients = {
        name: _gradient(objective, state, images, key)
        for name, objective in objectives.items()
    }
    metrics = {}
    for name, objective in objectives.items():
        state, terms = _update(name, objective, state, gradients[name])
        metrics |= terms
    return state._replace(step=state.step + 1), metrics


def alternate(
    objectives: Mapping[str, Objective],
    state: State,
    images: jax.Array,
    key: jax.Array,
) -> tuple[State, Metrics]:
    """Takes one step on each objective in turn, at the parameters the last one left.

    All get the same key, so that a network which is not yet trained computes the same
    in each, once.

    Args:
      objectives: name -> objective, in their order.
      state: state before the step.
      images: batch, shape `[B, S, S, C]`, in `[-1, 1]`.
      key: randomness of this step.

    Returns:
      The next state, and the metrics of all objectives.
    """
    metrics = {}
    for name, objective in objectives.items():
        state, terms = descend(name, objective, state, images, key)
        metrics |= terms
    return state._replace(step=state.step + 1), metrics


def descend(
    name: str,
    objective: Objective,
    state: State,
    images: jax.Array,
    key: jax.Array,
) -> tuple[State, Metrics]:
    """Takes one optimizer step on the networks that `objective` trains.

    Args:
      name: name of the objective, under which its optimizer state and loss are kept.
      objective: objective to minimize.
      state: state before the step; its `step` is left to the caller.
      images: batch, shape `[B, S, S, C]`, in `[-1, 1]`.
      key: randomness of this step.

    Returns:
      The next state, and the objective's metrics.
    """
    gradient = _gradient(objective, state, images, key)
    return _update(name, objective, state, gradient)


def autoencoding(
    encoder: nn.Module,
    decoder: Callable,
    names: tuple[str, str] = ("encoder", "decoder"),
    apply_network: Callable = apply.infer,
) -> Autoencoding:
    """Returns the functions of a trained encoder and decoder.

    Args:
      encoder: network whose first output is the latent.
      decoder: (S, S, C) -> network that maps latents to such images.
      names: names of the two networks.
      apply_network: function that applies them, `apply.infer` or `apply.batchwise`.
    """
    encoder_name, decoder_name = names

    def embed(state, x):
        return apply_network(encoder, encoder_name, state.params, state.stats, x)[0]

    def decode(state, z, shape):
        return apply_network(decoder(shape), decoder_name, state.params, state.stats, z)

    def reconstruct(state, x):
        return decode(state, embed(state, x), x.shape[1:])

    return Autoencoding(embed, decode, reconstruct)


def _gradient(objective, state, images, key):
    """Loss and gradients, ((value, aux), gradients), averaged over devices."""

    def loss(trained):
        return objective.loss({**state.params, **trained}, state.stats, images, key)

    trained = _pick(state.params, objective.trains)
    return axis.mean(jax.value_and_grad(loss, has_aux=True)(trained))


def _update(name, objective, state, gradient):
    (value, aux), gradients = gradient
    trained = _pick(state.params, objective.trains)
    updates, opt = objective.optimizer.update(gradients, state.opt[name], trained)
    if state.rate is not None:
        updates = jax.tree.map(lambda update: state.rate * update, updates)
    moved: Any = optax.apply_updates(trained, updates)
    state = state._replace(
        params={**state.params, **moved},
        stats={**state.stats, **aux.stats},
        opt={**state.opt, name: opt},
    )
    return state, {name: value, **aux.metrics}


def _pick(networks: Networks, names: tuple[str, ...]) -> Networks:
    return {name: networks[name] for name in names}
