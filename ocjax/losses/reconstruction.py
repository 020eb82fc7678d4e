"""Reconstruction losses.

Images are floats of shape `[..., H, W, C]`; every function returns one value per
image, shape `[...]`, so that callers choose the reduction: `.mean()` to train, none
to score.
"""

import jax
import jax.numpy as jnp

from ocjax import _checks


def l1(images: jax.Array, reconstructions: jax.Array) -> jax.Array:
    """Mean absolute error per image, the contextual loss of GANomaly.

    The paper writes the norm, the authors' code takes the mean over pixels; this is
    the mean, for which the paper's weight of 50 is tuned.

    Args:
      images: originals, shape `[..., H, W, C]`.
      reconstructions: same shape and value range as `images`.

    Returns:
      Errors of shape `[...]`, zero where the reconstruction is exact.

    Raises:
      ValueError: the shapes differ.
      TypeError: an argument is not floating point.

    References:
      Akcay et al., `GANomaly <https://arxiv.org/abs/1805.06725>`_, 2018, Eq 2.
    """
    _check(images, reconstructions)
    return jnp.abs(images - reconstructions).mean(axis=(-3, -2, -1))


def squared_error(images: jax.Array, reconstructions: jax.Array) -> jax.Array:
    """Mean squared error per image.

    Args:
      images: originals, shape `[..., H, W, C]`.
      reconstructions: same shape and value range as `images`.

    Returns:
      Errors of shape `[...]`, zero where the reconstruction is exact.

    Raises:
      ValueError: the shapes differ.
      TypeError: an argument is not floating point.
    """
    _check(images, reconstructions)
    return jnp.square(images - reconstructions).mean(axis=(-3, -2, -1))


def _check(images, reconstructions):
    _checks.same_shape(images=images, reconstructions=reconstructions)
    _checks.floating(images=images, reconstructions=reconstructions)
