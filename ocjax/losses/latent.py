"""Distances between latent vectors, or between features of a discriminator.

Vectors have shape `[..., D]`; every function returns one value per vector, shape
`[...]`. Both arguments receive gradient: whoever wants one of them constant detaches
it, or does not train the network that made it.
"""

import jax
import jax.numpy as jnp

from ocjax import _checks


def l1(latents: jax.Array, others: jax.Array) -> jax.Array:
    """Sum of absolute differences per vector, the score of GANomaly's later text.

    Args:
      latents: shape `[..., D]`.
      others: same shape.

    Returns:
      Distances of shape `[...]`.

    Raises:
      ValueError: the shapes differ.
      TypeError: an argument is not floating point.

    References:
      Akcay et al., `GANomaly <https://arxiv.org/abs/1805.06725>`_, 2018, Eq 3 as
      printed in the first version; later versions print an L2.
    """
    _check(latents=latents, others=others)
    return jnp.abs(latents - others).sum(axis=-1)


def squared_error(latents: jax.Array, others: jax.Array) -> jax.Array:
    """Mean squared difference per vector, the encoder loss of GANomaly's code.

    The paper's Eq 3 prints an L1; its author calls that a typographical error
    (samet-akcay/ganomaly, issue 9), and the code takes the mean of squares.

    Args:
      latents: shape `[..., D]`.
      others: same shape.

    Returns:
      Distances of shape `[...]`, zero where the vectors are equal.

    Raises:
      ValueError: the shapes differ.
      TypeError: an argument is not floating point.

    References:
      Akcay et al., `GANomaly <https://arxiv.org/abs/1805.06725>`_, 2018, Eq 3.
    """
    _check(latents=latents, others=others)
    return jnp.square(latents - others).mean(axis=-1)


def _check(**vectors):
    _checks.same_shape(**vectors)
    _checks.floating(**vectors)
