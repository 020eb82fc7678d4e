"""An average of the weights over the steps of training, which scores in their place.

Averages of weights (Polyak and Juditsky, 1992) even out what the last steps of
adversarial training happened to do. They are of no use in short runs, where the average
is of networks that had not learned yet.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from ocjax._checks import InputError
from ocjax.methods import base
from ocjax.methods.base import Method, Networks, State

NAME = (
    "average"  # Name, beside the networks' statistics, that averages have in a state.
)


def averaged(method: Method, decay: float) -> Method:
    """The method, scoring by exponential averages of its weights and statistics.

    In step t, counted from 0, the average keeps the part min(decay, (1 + t) / (10 + t))
    of itself, so that it does not hold on to the first weights.

    Args:
      method: any that takes steps.
      decay: part that the average keeps of itself in a step, in (0, 1).

    Raises:
      InputError: the method takes no steps, or the decay is out of range.
    """
    if not method.descends:
        raise InputError(
            "An average is of weights that change in steps, and this method takes "
            "none: set average to 0."
        )
    if not 0 < decay < 1:
        raise InputError(f"`average` (={decay}) must be between 0 and 1.")

    def init(key, images):
        state = method.init(key, images)
        return _with_average(state, averages(state))

    def averages(state):
        """What is averaged of a state: not what a pass computes."""
        computed = (NAME, *method.computes)
        of_steps = lambda parts: {n: p for n, p in parts.items() if n not in computed}
        return {"params": of_steps(state.params), "stats": of_steps(state.stats)}

    def step(inner):
        def and_average(state, images, key):
            kept = jnp.minimum(decay, (1 + state.step) / (10 + state.step))
            before = state.stats[NAME]
            state, metrics = inner(state, images, key)
            mix = lambda old, new: (kept * old + (1 - kept) * new).astype(new.dtype)
            return _with_average(
                state, jax.tree.map(mix, before, averages(state))
            ), metrics

        return and_average

    def on_average(function):
        return lambda state, *rest: function(_as_average(state), *rest)

    method_on_average = base.wrapped(method, on_average)
    stages = [
        stage._replace(step=stage.step and step(stage.step))
        for stage in method_on_average.stages
    ]
    return method_on_average._replace(init=init, stages=tuple(stages))


def _with_average(state: State, average: Mapping[str, Networks]) -> State:
    return state._replace(stats={**state.stats, NAME: average})


def _as_average(state: State) -> State:
    """The state whose weights and statistics are the averages."""
    average = state.stats[NAME]
    return state._replace(
        params={**state.params, **average["params"]},
        stats={**state.stats, **average["stats"]},
    )
