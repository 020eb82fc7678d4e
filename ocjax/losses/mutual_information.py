"""Mutual information of two variables, raised through a learned estimator.

An estimator T scores pairs: positive pairs belong together, negative pairs combine one
member with another's partner. T and the encoder that makes the pairs minimize the same
loss: nothing here is adversarial.
"""

import jax
import jax.numpy as jnp

from ocjax import _checks


def jensen_shannon(positive_scores: jax.Array, negative_scores: jax.Array) -> jax.Array:
    """Negated Jensen-Shannon bound on mutual information, to minimize.

    `-log s(T+) - log(1 - s(T-))` for the sigmoid s. Its mean is at least
    `2 log 2 - 2 JSD(joint, product of marginals)`, with equality for the T that is the
    log of the ratio of the two densities. An estimator that knows nothing (T = 0), or
    independent variables, give `2 log 2`; a mean below it is information.

    Args:
      positive_scores: T of pairs that belong together, shape `[...]`.
      negative_scores: T of pairs that do not, same shape.

    Returns:
      Losses of shape `[...]`, finite and with finite gradient at any finite score.

    Raises:
      ValueError: the shapes differ.
      TypeError: an argument is not floating point.

    References:
      Chen et al., `LR-GDAN <https://doi.org/10.24963/ijcai.2020/106>`_, 2020, Eqs 7 to
      11; Hjelm et al., `Deep InfoMax <https://arxiv.org/abs/1808.06670>`_, 2019, Eq 4.
    """
    _checks.same_shape(positive_scores=positive_scores, negative_scores=negative_scores)
    _checks.floating(positive_scores=positive_scores, negative_scores=negative_scores)
    return jax.nn.softplus(-positive_scores) + jax.nn.softplus(negative_scores)


def shift(batch: jax.Array, axis_name: str | None = None) -> jax.Array:
    """The example before each in its batch, cyclically: partners of negative pairs.

    Unlike in a random permutation no example is its own partner, unless the whole
    batch is one example.

    Args:
      batch: shape `[B, ...]`.
      axis_name: mapped axis over whose devices a batch is spread in contiguous parts,
        or None. The first example of a part gets the last of the part before.

    Returns:
      The shifted batch, same shape; on k devices, the part of what one would have.

    References:
      Chen et al., `LR-GDAN <https://doi.org/10.24963/ijcai.2020/106>`_, 2020, calls
      the result the disturbed batch.
    """
    last = batch[-1:]
    if axis_name is not None:
        count = jax.lax.axis_size(axis_name)
        to_next = [(i, (i + 1) % count) for i in range(count)]
        last = jax.lax.ppermute(last, axis_name, to_next)
    return jnp.concatenate([last, batch[:-1]])
