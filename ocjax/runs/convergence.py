"""Convergence: whether training still lowers what is seen on held-out normal images.

CAE-Ent (Tian et al., 2020) and data splitting (Schlachter et al., 2019) train "until
convergence". Training ends here, with its last state, when a curve has become flat. It
is never the state with the lowest error that is taken: of networks that can draw
anything, that one detects worst.
"""

import statistics
from collections.abc import Sequence

from ocjax._checks import InputError
from ocjax.methods import Method
from ocjax.runs.task import Task

PATIENCE = 5  # Looks whose median stands for where a curve is.
FLAT = 0.02  # Fall between two such medians, as a part of the first, that is none.
SETTLED = 0.01  # Part of the first look below which a curve has nowhere to fall.
LOOK_STEPS = 200  # Steps between two looks, at least.


def converged(values: Sequence[float], bound: float | None = None) -> bool:
    """Whether a curve has become flat.

    The median of its last `PATIENCE` looks is then no longer clearly below that of as
    many before, or below `SETTLED` of where the curve began.

    Args:
      values: curve by looks, in their order; at least 0.
      bound: value that the curve must be below, that of having learned nothing; None
        for none. Adversarial training may be above it for long, and go on from there.
    """
    if len(values) < 2 * PATIENCE:
        return False
    now = statistics.median(values[-PATIENCE:])
    before = statistics.median(values[-2 * PATIENCE : -PATIENCE])
    if bound is not None and now >= bound:
        return False
    return now <= SETTLED * values[0] or now >= (1 - FLAT) * before


def check(task: Task, method: Method) -> None:
    """Raises `InputError` where a run cannot tell whether it has converged."""
    if task.config.until != "converged":
        return
    advice = "set until=end."
    if not method.descends:
        raise InputError(
            f"{task.config.method} takes no steps, so that nothing converges: {advice}"
        )
    if method.reconstruct is None and method.error is None:
        raise InputError(
            f"{task.config.method} has no error on held-out normal images that its "
            f"training lowers: {advice}"
        )
    if not len(task.split.validation):
        raise InputError(
            "Whether training has converged is seen on held-out normal images, and "
            f"none are held out: raise validation_fraction, or {advice}"
        )
