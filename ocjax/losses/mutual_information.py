"""Mutual information of two variables, raised through a learned estimator.

An estimator T scores pairs: positive pairs belong together, negative pairs combine one
member with another's partner. T and the encoder that makes the pairs minimize the same
loss: nothing here is adversarial.
"""

import jax

from ocjax import _checks


def jensen_shannon(positive_scores: jax.Array, negative_scores: jax.Array) -> jax.Array:
    """Negated Jensen-Shannon bound on mutual information, to minimize.

    `-log s(T+) - log(1 - s(T-))` for the sigmoid s. Its mean is at least
    `2 log 2 - 2 JSD(joint, product of marginals)`, with equality for the T that is the
    log of the ratio of the two densities. An estimator that knows nothing (T = 0), or
    independent variables, give `2 log 2`; a mean below it is information.

    Args:
      positive_scores: scores T of pairs that belong together, shape `[...]`.
      negative_scores: scores T of pairs that do not, same shape.

    Returns:
      Losses of shape `[...]`, finite and with finite gradient at any finite score.

    Raises:
      ValueError: the shapes differ.
      TypeError: an argument is not floating point.

    References:
      Chen et al., [LR-GDAN](https://doi.org/10.24963/ijcai.2020/106), 2020, Eqs 7 to
      11; Hjelm et al., [Deep InfoMax](https://arxiv.org/abs/1808.06670), 2019, Eq 4.
    """
    _checks.same_shape(positive_scores=positive_scores, negative_scores=negative_scores)
    _checks.floating(positive_scores=positive_scores, negative_scores=negative_scores)
    return jax.nn.softplus(-positive_scores) + jax.nn.softplus(negative_scores)
