"""Synthetic anomalies: normal images spoiled in known ways.

How well a detector tells held-out normal images from the same images spoiled needs no
label of an anomaly, so detectors can be compared by it without a leak. It says how a
detector sees these kinds of damage, and no more: nobody knows from normal images alone
how real anomalies look.

Each kind is a pure function of images `[B, S, S, C]` in [-1, 1] and a key; the
randomness of every image is its own, and the result has the same shape and range.

References:
  Li et al., CutPaste: self-supervised learning for anomaly detection and localization,
    2021: pasted boxes and scars, whose areas and sides are taken from there.
  Noroozi and Favaro, Unsupervised learning of visual representations by solving jigsaw
    puzzles, 2016.
  Gidaris et al., Unsupervised representation learning by predicting image rotations,
    2018.
  Zhang et al., mixup: beyond empirical risk minimization, 2018: two images blended.
"""

import functools
import math
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np

from ocjax._checks import InputError, one_of
from ocjax.data.images import to_float
from ocjax.evaluation import metrics

ERASED_SIDE = (10 / 32, 20 / 32)  # Side of an erased box, as a part of the image's.
PASTED_AREA = (0.02, 0.15)  # Area of a pasted box, as a part of the image's; CutPaste.
PASTED_ASPECT = (0.3, 1 / 0.3)  # Height by width of a pasted box; CutPaste.
SCAR_LENGTH = (10 / 64, 25 / 64)  # Length of a scar, as a part of the image's side.
SCAR_WIDTH = (2 / 64, 6 / 64)  # Width as a part of the side, and at least a pixel.
NOISE = 0.25  # Deviation of the noise on pixels in [-1, 1].


def erased(images: jax.Array, key: jax.Array) -> jax.Array:
    """Images with a box filled by the background: the median of the edge's pixels."""

    def one(image, key):
        side_key, place_key = jax.random.split(key)
        low, high = (part * len(image) for part in ERASED_SIDE)
        side = jax.random.uniform(side_key, (), minval=low, maxval=high)
        edge = jnp.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
        inside = _box(place_key, len(image), side, side)
        return jnp.where(inside[..., None], jnp.median(edge, axis=0), image)

    return _each(one, images, key)


def pasted(images: jax.Array, key: jax.Array) -> jax.Array:
    """Images with a box that shows another part of the same image."""

    def one(image, key):
        area_key, aspect_key, place_key, shift_key = jax.random.split(key, 4)
        area = jax.random.uniform(
            area_key, (), minval=PASTED_AREA[0], maxval=PASTED_AREA[1]
        )
        low, high = (math.log(aspect) for aspect in PASTED_ASPECT)
        aspect = jnp.exp(jax.random.uniform(aspect_key, (), minval=low, maxval=high))
        height, width = jnp.sqrt(area * aspect), jnp.sqrt(area / aspect)
        size = len(image)
        inside = _box(place_key, size, height * size, width * size)
        # The shift is so far that the box does not show its own place alone.
        shift = jax.random.randint(shift_key, (2,), size // 4, size - size // 4)
        return jnp.where(inside[..., None], jnp.roll(image, shift, (0, 1)), image)

    return _each(one, images, key)


def jigsaw(images: jax.Array, key: jax.Array) -> jax.Array:
    """Images whose four quarters have changed places."""

    def one(image, key):
        half = len(image) // 2
        quarters = image[: 2 * half, : 2 * half].reshape(2, half, 2, half, -1)
        quarters = quarters.swapaxes(1, 2).reshape(4, half, half, -1)
        # A turn by one, two or three places along a random cycle moves every quarter.
        cycle_key, turn_key = jax.random.split(key)
        cycle = jax.random.permutation(cycle_key, 4)
        turn = jax.random.randint(turn_key, (), 1, 4)
        moved = jnp.zeros_like(quarters).at[cycle].set(quarters[jnp.roll(cycle, turn)])
        moved = moved.reshape(2, 2, half, half, -1).swapaxes(1, 2)
        return image.at[: 2 * half, : 2 * half].set(
            moved.reshape(2 * half, 2 * half, -1)
        )

    return _each(one, images, key)


def rotated(images: jax.Array, key: jax.Array) -> jax.Array:
    """Images turned by 90, 180 or 270 degrees; no damage to those without an upside."""

    def one(image, key):
        turns = [functools.partial(jnp.rot90, k=k) for k in (1, 2, 3)]
        return jax.lax.switch(jax.random.randint(key, (), 0, 3), turns, image)

    return _each(one, images, key)


def scarred(images: jax.Array, key: jax.Array) -> jax.Array:
    """Images with a thin line of one grey, at any place and angle."""

    def one(image, key):
        keys = jax.random.split(key, 5)
        size = len(image)
        length = size * jax.random.uniform(
            keys[0], (), minval=SCAR_LENGTH[0], maxval=SCAR_LENGTH[1]
        )
        width = size * jax.random.uniform(
            keys[1], (), minval=SCAR_WIDTH[0], maxval=SCAR_WIDTH[1]
        )
        centre = jax.random.uniform(keys[2], (2,), minval=0.2 * size, maxval=0.8 * size)
        angle = jax.random.uniform(keys[3], (), maxval=math.pi)
        y, x = _pixels(size) - centre[:, None, None]
        along = y * jnp.sin(angle) + x * jnp.cos(angle)
        across = y * jnp.cos(angle) - x * jnp.sin(angle)
        inside = (abs(along) <= length / 2) & (abs(across) <= jnp.maximum(width, 1) / 2)
        grey = jax.random.uniform(keys[4], (), minval=-1.0)
        return jnp.where(inside[..., None], grey, image)

    return _each(one, images, key)


def noisy(images: jax.Array, key: jax.Array) -> jax.Array:
    """Images with normal noise of deviation `NOISE` on every pixel."""
    noise = NOISE * jax.random.normal(key, images.shape, images.dtype)
    return jnp.clip(images + noise, -1, 1)


def blended(images: jax.Array, key: jax.Array) -> jax.Array:
    """Images averaged with another image of the batch, which needs at least two."""
    if len(images) < 2:
        raise InputError("Blending two images needs at least two, got one.")
    shift = jax.random.randint(key, (), 1, len(images))
    return (images + jnp.roll(images, shift, 0)) / 2


KINDS: Mapping[str, Callable[[jax.Array, jax.Array], jax.Array]] = MappingProxyType(
    {
        "erased": erased,
        "pasted": pasted,
        "jigsaw": jigsaw,
        "rotated": rotated,
        "scarred": scarred,
        "noisy": noisy,
        "blended": blended,
    }
)


def aurocs(
    score: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    seed: int = 0,
    kinds: Collection[str] = tuple(KINDS),
) -> dict[str, float]:
    """AUROC of normal images against the same images spoiled, by kind.

    Args:
      score: function of float32 images `[N, S, S, C]` in [-1, 1] that returns `[N]`,
        larger where more anomalous.
      images: held-out normal images, at least two; uint8, or floats in [-1, 1].
      seed: seed of all randomness.
      kinds: keys of `KINDS`.

    Returns:
      AUROC of each kind, in their order; in [0, 1], 0.5 by chance.

    Raises:
      InputError: a kind is unknown, or there are fewer than two images.
    """
    if len(images) < 2:
        raise InputError(
            f"Synthetic anomalies need at least 2 normal images, got {len(images)}."
        )
    whole = np.asarray(to_float(jnp.asarray(images)))
    normal = np.asarray(score(whole))
    truth = np.repeat([False, True], len(images))
    auroc_by_kind = {}
    for kind in kinds:
        spoil = KINDS[one_of("kind of synthetic anomaly", kind, KINDS)]
        # The randomness of a kind does not depend on the others that are asked for.
        key = jax.random.fold_in(jax.random.key(seed), list(KINDS).index(kind))
        spoiled = np.asarray(_spoiled(spoil, whole, key))
        scores = np.concatenate([normal, np.asarray(score(spoiled))])
        auroc_by_kind[kind] = float(metrics.auroc(truth, scores))
    return auroc_by_kind


@functools.partial(jax.jit, static_argnums=0)
def _spoiled(spoil, images, key):
    return spoil(images, key)


def _each(one: Callable, images: jax.Array, key: jax.Array) -> jax.Array:
    return jax.vmap(one)(images, jax.random.split(key, len(images)))


def _pixels(size: int) -> jax.Array:
    """Centres (y, x) of the pixels, `[2, size, size]`."""
    line = jnp.arange(size) + 0.5
    return jnp.stack(jnp.meshgrid(line, line, indexing="ij"))


def _box(key: jax.Array, size: int, height, width) -> jax.Array:
    """Mask `[size, size]` of a box at a random place in an image."""
    places = jax.random.uniform(key, (2,))
    y, x = _pixels(size)
    top, left = places[0] * (size - height), places[1] * (size - width)
    rows = (y >= top) & (y <= top + jnp.maximum(height, 1))
    columns = (x >= left) & (x <= left + jnp.maximum(width, 1))
    return rows & columns
