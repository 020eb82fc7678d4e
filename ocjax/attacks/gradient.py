"""Gradient ascent within a ball: FGSM, BIM, and attacks on a score."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike

from ocjax.attacks.result import Attacked, Logits, attacked, check, check_ball

ROUNDING = 2.0**-23  # Bound on the rounding of a change added to a value in [0, 1].


def fgsm(
    logits: Logits,
    images: ArrayLike,
    labels: ArrayLike,
    *,
    epsilon: float,
    norm: str = "linf",
) -> Attacked:
    """The fast gradient sign method: one step as large as the ball.

    Under "l2" the step goes along the gradient, not along its signs.

    Args:
      logits: function of the classifier, images `[B, H, W, C]` -> `[B, classes]`;
        compiled once for each such function.
      images: floats in [0, 1].
      labels: true classes, int `[B]`.
      epsilon: radius of the ball, in units of the images.
      norm: norm of the ball, "linf" or "l2".

    Raises:
      InputError: an argument is out of its range.

    References:
      Goodfellow et al., [Explaining and harnessing adversarial
      examples](https://arxiv.org/abs/1412.6572), 2015.
    """
    return bim(
        logits, images, labels, epsilon=epsilon, steps=1, step=epsilon, norm=norm
    )


def bim(
    logits: Logits,
    images: ArrayLike,
    labels: ArrayLike,
    *,
    epsilon: float,
    steps: int = 10,
    step: float | None = None,
    norm: str = "linf",
) -> Attacked:
    """The basic iterative method: small steps, each followed by a way back to the ball.

    Args:
      logits: function of the classifier, as for `fgsm`.
      images: floats in [0, 1].
      labels: true classes, int `[B]`.
      epsilon: radius of the ball, in units of the images.
      steps: number of steps.
      step: length of a step; by default a fifth of `epsilon`.
      norm: norm of the ball, "linf" or "l2".

    Raises:
      InputError: an argument is out of its range.

    References:
      Kurakin et al., [Adversarial examples in the physical
      world](https://arxiv.org/abs/1607.02533), 2017.
    """
    step = 0.2 * epsilon if step is None else step
    images, labels = check(images, labels)
    check_ball(norm, epsilon, steps, step)
    return _bim(logits, images, labels, epsilon, step, steps=steps, norm=norm)


def move_score(
    score: Callable[..., jax.Array],
    arguments: tuple,
    images: ArrayLike,
    direction: ArrayLike,
    *,
    epsilon: float,
    steps: int = 10,
    step: float | None = None,
    norm: str = "linf",
) -> tuple[jax.Array, jax.Array]:
    """Raises or lowers the anomaly scores of images, as far as `bim`'s steps go.

    The best of all steps is kept, so no score ends on the wrong side of where it began.

    Args:
      score: function `score(*arguments, images)` -> `[B]` of images in [-1, 1], which
        scores each image alone, as `method.score`, whose argument is the state.
      arguments: pytrees of arrays that `score` takes first.
      images: floats in [0, 1], the range of `epsilon` too.
      direction: signs `[B]`: 1 to raise a score, as of a normal image; -1 to lower it,
        as of an anomaly.
      epsilon: radius of the ball, in units of the images.
      steps: number of steps.
      step: length of a step; by default a fifth of `epsilon`.
      norm: norm of the ball, "linf" or "l2".

    Returns:
      The images, in [0, 1] and in the ball, and their scores.

    Raises:
      InputError: an argument is out of its range.
    """
    step = 0.2 * epsilon if step is None else step
    images, _ = check(images)
    check_ball(norm, epsilon, steps, step)
    return _move_score(
        score, arguments, images, direction, epsilon, step, steps=steps, norm=norm
    )


@functools.partial(jax.jit, static_argnames=("logits", "steps", "norm"))
def _bim(logits, images, labels, epsilon, step, *, steps, norm):
    loss = lambda x: optax.softmax_cross_entropy_with_integer_labels(logits(x), labels)

    def one(_, x):
        return _step_up(loss, images, x, epsilon, step, norm)

    moved = jax.lax.fori_loop(0, steps, one, images)
    return attacked(logits, images, moved, labels)


@functools.partial(jax.jit, static_argnames=("score", "steps", "norm"))
def _move_score(score, arguments, images, direction, epsilon, step, *, steps, norm):
    gain = lambda x: direction * score(*arguments, 2.0 * x - 1.0)

    def one(_, carry):
        x, best, most = carry
        x = _step_up(gain, images, x, epsilon, step, norm)
        gained = gain(x)
        better = gained > most
        best = jnp.where(better[:, None, None, None], x, best)
        return x, best, jnp.where(better, gained, most)

    start = images, images, gain(images)
    _, best, most = jax.lax.fori_loop(0, steps, one, start)
    return best, direction * most


def _step_up(gain: Callable, original, x, epsilon, step, norm: str) -> jax.Array:
    """Images one step up `gain`, put back into the original's ball and into [0, 1]."""
    slope = jax.grad(lambda x: gain(x).sum())(x)
    if norm == "linf":
        ahead = x + step * jnp.sign(slope)
        reach = jnp.maximum(epsilon - ROUNDING, 0.0)
        change = jnp.clip(ahead - original, -reach, reach)
    else:
        ahead = x + step * slope / jnp.maximum(_length(slope), 1e-12)
        change = ahead - original
        reach = jnp.maximum(epsilon - ROUNDING * change[0].size ** 0.5, 0.0)
        change = change * jnp.minimum(1.0, reach / jnp.maximum(_length(change), 1e-12))
    # The original is in [0, 1], so this can only come nearer to it.
    return jnp.clip(original + change, 0.0, 1.0)


def _length(x: jax.Array) -> Any:
    """Euclidean norm of each image, `[B, 1, 1, 1]`."""
    return jnp.sqrt(jnp.sum(jnp.square(x), axis=(1, 2, 3), keepdims=True))
