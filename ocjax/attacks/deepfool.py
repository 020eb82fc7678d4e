"""DeepFool: the shortest way over the nearest boundary, as if all were linear."""

import functools

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from ocjax._checks import InputError, one_of
from ocjax.attacks.result import NORMS, Attacked, Logits, attacked, check

STABLE = 1e-4  # Added to each distance, so that a step on a boundary goes somewhere.


def deepfool(
    logits: Logits,
    images: ArrayLike,
    labels: ArrayLike,
    *,
    steps: int = 50,
    candidates: int = 10,
    overshoot: float = 0.02,
    norm: str = "l2",
) -> Attacked:
    """Goes to the nearest of the boundaries to other likely classes, until over one.

    Args:
      logits: function of the classifier, images `[B, H, W, C]` -> `[B, classes]`;
        compiled once for each such function.
      images: floats in [0, 1].
      labels: true classes, int `[B]`; images that are not given theirs stay as they
        are.
      steps: largest number of steps.
      candidates: number of likeliest classes that are looked at, the first included.
      overshoot: share by which the sum of all steps is longer.
      norm: norm of the change that is to be small, "l2" or "linf".

    Raises:
      InputError: an argument is out of its range.

    References:
      Moosavi-Dezfooli et al., [DeepFool](https://arxiv.org/abs/1511.04599), 2016.
    """
    images, labels = check(images, labels)
    one_of("norm", norm, NORMS)
    if steps < 1 or candidates < 2:
        raise InputError(
            f"Expected `steps` of at least 1 and `candidates` of at least 2, got "
            f"{steps} and {candidates}."
        )
    return _deepfool(
        logits,
        images,
        labels,
        overshoot,
        steps=steps,
        candidates=candidates,
        norm=norm,
    )


@functools.partial(jax.jit, static_argnames=("logits", "steps", "candidates", "norm"))
def _deepfool(logits, images, labels, overshoot, *, steps, candidates, norm):
    first = logits(images)
    likely = jax.lax.top_k(first, min(candidates, first.shape[-1]))[1]
    each = jnp.eye(likely.shape[1] - 1)

    def margins(x):
        """Logits of the candidates less the first one's, `[B, candidates - 1]`."""
        candidate_logits = jnp.take_along_axis(logits(x), likely, axis=-1)
        return candidate_logits[:, 1:] - candidate_logits[:, :1]

    def one(carry):
        count, x, change, fooled = carry
        behind, pull = jax.vjp(margins, x)
        # One linearization serves the gradients of all candidates.
        select = lambda row: pull(jnp.broadcast_to(row, behind.shape))[0]
        slopes = jnp.moveaxis(jax.vmap(select)(each), 0, 1)
        flat = slopes.reshape(*behind.shape, -1)
        if norm == "l2":
            lengths = jnp.linalg.norm(flat, axis=-1) + 1e-8
        else:
            lengths = jnp.abs(flat).sum(-1) + 1e-8
        distances = jnp.abs(behind) / lengths
        nearest = distances.argmin(-1)
        choose = lambda values: jax.vmap(lambda row, i: row[i])(values, nearest)
        slope, far = choose(slopes), choose(distances) + STABLE
        if norm == "l2":
            far, direction = far / choose(lengths), slope
        else:
            direction = jnp.sign(slope)
        change = change + far[:, None, None, None] * direction
        ahead = jnp.clip(images + (1 + overshoot) * change, 0.0, 1.0)
        x = jnp.where(fooled[:, None, None, None], x, ahead)
        return count + 1, x, change, logits(x).argmax(-1) != labels

    def goes_on(carry):
        return (carry[0] < steps) & ~carry[3].all()

    start = 0, images, jnp.zeros_like(images), first.argmax(-1) != labels
    _, moved, _, _ = jax.lax.while_loop(goes_on, one, start)
    return attacked(logits, images, moved, labels)
