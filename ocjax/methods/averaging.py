"""An average of the weights over the steps of training, which scores in their place.

Averages of weights (Polyak and Juditsky, 1992) even out what the last steps of
adversarial training happened to do. They are of no use in short runs, where the average
is of networks that had not learned yet.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ocjax._checks import InputError
from ocjax.methods.base import Method, Networks, State, Views

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
        return _with_average(state, _networks(state))

    def step(inner) -> Callable | None:
        if inner is None:
            return None

        def and_average(state, images, key):
            kept = jnp.minimum(decay, (1 + state.step) / (10 + state.step))
            before = state.stats[NAME]
            state, metrics = inner(state, images, key)
            mix = lambda old, new: (kept * old + (1 - kept) * new).astype(new.dtype)
            average = jax.tree.map(mix, before, _networks(state))
            return _with_average(state, average), metrics

        return and_average

    def on_average(function) -> Callable | None:
        if function is None:
            return None
        return lambda state, *rest: function(_as_average(state), *rest)

    stages = [
        stage._replace(step=step(stage.step), grade=on_average(stage.grade))
        for stage in method.stages
    ]

    def of_each(functions: Mapping[str, Callable]) -> dict[str, Any]:
        return {name: on_average(function) for name, function in functions.items()}

    views = method.views
    return method._replace(
        init=init,
        stages=tuple(stages),
        score=on_average(method.score),
        reconstruct=on_average(method.reconstruct),
        embed=on_average(method.embed),
        anomaly_map=on_average(method.anomaly_map),
        error=on_average(method.error),
        score_batchwise=on_average(method.score_batchwise),
        views=Views(
            images=of_each(views.images),
            latents=of_each(views.latents),
            measures=of_each(views.measures),
            decode=on_average(views.decode),
            distance=on_average(views.distance),
        ),
    )


def _networks(state: State) -> dict[str, Networks]:
    """What is averaged of a state."""
    stats = {name: part for name, part in state.stats.items() if name != NAME}
    return {"params": state.params, "stats": stats}


def _with_average(state: State, average: dict[str, Networks]) -> State:
    return state._replace(stats={**state.stats, NAME: average})


def _as_average(state: State) -> State:
    """The state whose weights and statistics are the averages."""
    average = state.stats[NAME]
    return state._replace(params=average["params"], stats=average["stats"])
