"""Schedules: the learning rates of a stage in the course of its steps.

A schedule is a factor of the learning rates that a method has, so that all methods
have all schedules. What a step learns is in proportion to it, whatever the optimizer:
a method's updates are multiplied by it.
"""

import dataclasses

import jax
import jax.numpy as jnp

from ocjax import _checks

SHAPES = ("constant", "cosine", "decay")


@dataclasses.dataclass(frozen=True)
class Schedule:
    """The factor of the learning rates in the course of a stage.

    Attributes:
      shape: "constant", 1 throughout; "cosine", from 1 to 0 along half a cosine
        (Loshchilov and Hutter, 2017, without restarts); or "decay", by steps.
      warmup: number of steps over which the factor rises from near 0, beside its shape.
      decay_factor: what one decay multiplies by, in (0, 1).
      decay_every: part of the stage between two decays, in (0, 1). The code of GPND
        (Pidhorskyi et al., 2018) has a quarter every 30 of 80 epochs.

    Raises:
      InputError: the shape is unknown.
    """

    shape: str = "constant"
    warmup: int = 0
    decay_factor: float = 0.25
    decay_every: float = 0.375

    def __post_init__(self):
        _checks.one_of("schedule", self.shape, SHAPES)

    def factor(self, step: jax.Array, steps: jax.Array) -> jax.Array | None:
        """The factor in a step; None where it is 1 throughout.

        Args:
          step: number of the step in its stage, from 0 on.
          steps: number of steps of the stage.
        """
        if self.shape == "constant" and not self.warmup:
            return None
        done = step / steps
        factor = jnp.ones(())
        if self.shape == "cosine":
            factor = 0.5 * (1 + jnp.cos(jnp.pi * done))
        elif self.shape == "decay":
            factor = self.decay_factor ** jnp.floor(done / self.decay_every)
        if self.warmup:
            factor = factor * jnp.minimum(1, (step + 1) / self.warmup)
        return factor


CONSTANT = Schedule()
