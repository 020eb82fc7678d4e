"""Arguments and results of attacks."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from ocjax._checks import InputError, one_of

NORMS = ("linf", "l2")
Logits = Callable[[jax.Array], jax.Array]  # Images [B, H, W, C] -> [B, classes].


class Attacked(NamedTuple):
    """Attacked images and how far they are from the originals."""

    images: jax.Array  # float32 [B, H, W, C] in [0, 1].
    success: jax.Array  # bool [B], True where the class is not the label's.
    l2: jax.Array  # float32 [B], Euclidean norm of the change.
    linf: jax.Array  # float32 [B], largest change of a value.


def attacked(
    logits: Logits, original: jax.Array, images: jax.Array, labels: jax.Array
) -> Attacked:
    """Judges images that an attack has made of `original`."""
    change = (images - original).reshape(len(images), -1)
    return Attacked(
        images=images,
        success=logits(images).argmax(-1) != labels,
        l2=jnp.linalg.norm(change, axis=-1),
        linf=jnp.abs(change).max(-1),
    )


def check(
    images: ArrayLike, labels: ArrayLike | None = None
) -> tuple[jax.Array, jax.Array]:
    """Returns a user's images and labels as arrays; values are checked unless traced.

    Raises:
      InputError: images are no floats `[B, H, W, C]` in [0, 1], or labels no integers
        `[B]`.
    """
    images = jnp.asarray(images)
    if images.ndim != 4 or not jnp.issubdtype(images.dtype, jnp.floating):
        raise InputError(
            "Expected `images` to be floats [B, H, W, C] in [0, 1], got "
            f"{images.dtype} {images.shape}."
        )
    labels = jnp.zeros(len(images), jnp.int32) if labels is None else labels
    labels = jnp.asarray(labels)
    integers = jnp.issubdtype(labels.dtype, jnp.integer)
    if labels.shape != images.shape[:1] or not integers:
        raise InputError(
            f"Expected `labels` to be {len(images)} integers, one for each image, got "
            f"{labels.dtype} {labels.shape}."
        )
    if not isinstance(images, Tracer):
        low, high = np.min(images), np.max(images)
        if not (low >= 0 and high <= 1):
            raise InputError(
                f"Expected `images` in [0, 1], got values from {low} to {high}."
            )
    return images, labels


def check_ball(norm: str, epsilon: float, steps: int, step: float) -> None:
    """Raises `InputError` unless the norm is known and the numbers are positive."""
    one_of("norm", norm, NORMS)
    for name, value in {"epsilon": epsilon, "steps": steps, "step": step}.items():
        if not isinstance(value, Tracer) and not value > 0:
            raise InputError(f"`{name}` (={value}) must be positive.")
