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
      latents: latent vectors, shape `[..., D]`.
      others: vectors to compare them with, same shape.

    Returns:
      Distances of shape `[...]`.

    Raises:
      ValueError: the shapes differ.
      TypeError: an argument is not floating point.

    References:
      Akcay et al., [GANomaly](https://arxiv.org/abs/1805.06725), 2018, Eq 3 as
      printed in the first version; later versions print an L2.
    """
    _check(latents=latents, others=others)
    return jnp.abs(latents - others).sum(axis=-1)


def squared_error(latents: jax.Array, others: jax.Array) -> jax.Array:
    """Mean squared difference per vector, the encoder loss of GANomaly's code.

    The paper's Eq 3 prints an L1; its author calls that a typographical error
    (samet-akcay/ganomaly, issue 9), and the code takes the mean of squares.

    Args:
      latents: latent vectors, shape `[..., D]`.
      others: vectors to compare them with, same shape.

    Returns:
      Distances of shape `[...]`, zero where the vectors are equal.

    Raises:
      ValueError: the shapes differ.
      TypeError: an argument is not floating point.

    References:
      Akcay et al., [GANomaly](https://arxiv.org/abs/1805.06725), 2018, Eq 3.
    """
    _check(latents=latents, others=others)
    return jnp.square(latents - others).mean(axis=-1)


def euclidean(
    latents: jax.Array, others: jax.Array, epsilon: float = 1e-12
) -> jax.Array:
    """Euclidean distance of two vectors, the encoder loss of LR-GDAN as written.

    Args:
      latents: latent vectors, shape `[..., D]`.
      others: vectors to compare them with, same shape.
      epsilon: constant added to the sum of squares, so that the gradient where the
        vectors are equal is zero and not undefined.

    Returns:
      Distances of shape `[...]`, `sqrt(epsilon)` where the vectors are equal.

    Raises:
      ValueError: the shapes differ.
      TypeError: an argument is not floating point.

    References:
      Chen et al., [LR-GDAN](https://doi.org/10.24963/ijcai.2020/106), 2020, Eq 4.
    """
    _check(latents=latents, others=others)
    return jnp.sqrt(jnp.square(latents - others).sum(axis=-1) + epsilon)


# Distances by the names that configurations use.
DISTANCES = {"l1": l1, "squared_error": squared_error, "euclidean": euclidean}


def kl_standard_normal(mean: jax.Array, log_variance: jax.Array) -> jax.Array:
    """Kullback-Leibler divergence of a diagonal normal from the standard normal.

    Args:
      mean: means of the dimensions, shape `[..., D]`.
      log_variance: natural logarithms of the variances, same shape. From 89 on the
        variance overflows in float32 and the divergence is infinite.

    Returns:
      Divergences in nats, summed over dimensions, of shape `[...]`; zero where mean
      and log variance are 0.

    Raises:
      ValueError: the shapes differ.
      TypeError: an argument is not floating point.

    References:
      Kingma and Welling, [Auto-encoding variational
      Bayes](https://arxiv.org/abs/1312.6114), 2014, appendix B.
    """
    _check(mean=mean, log_variance=log_variance)
    # `expm1(v) - v` is exact to first order near v = 0, `exp(v) - 1 - v` is not.
    terms = jnp.square(mean) + jnp.expm1(log_variance) - log_variance
    return 0.5 * terms.sum(axis=-1)


def _check(**vectors):
    _checks.same_shape(**vectors)
    _checks.floating(**vectors)
