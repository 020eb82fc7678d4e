"""Losses of one-class classification by splitting the normal data.

The images that an autoencoder reconstructs worst are called atypical and stand in for
anomalies. A learned distance of two images gives logits, of any shape `[...]`: dist =
sigmoid(logit). Every function returns one value per logit, shape `[...]`, log 2 where
the logit is 0, finite and with finite gradient at any finite logit. Logits that are not
floating point raise `TypeError`.

References:
  Schlachter et al., [Deep one-class classification using intra-class
  splitting](https://arxiv.org/abs/1902.01194), 2019.
"""

import jax

from ocjax import _checks


def closeness(distance_logits: jax.Array) -> jax.Array:
    """Loss that draws typical images together, `-log(1 - dist)`, Eq 2 of the paper."""
    _checks.floating(distance_logits=distance_logits)
    return jax.nn.softplus(distance_logits)


def dispersion(distance_logits: jax.Array) -> jax.Array:
    """Loss that pushes atypical images apart, `-log dist`, Eq 4 of the paper."""
    return closeness(-distance_logits)  # sigmoid(-s) = 1 - sigmoid(s).


def intra_class(logits: jax.Array, atypical: jax.Array) -> jax.Array:
    """Binary cross entropy that tells typical from atypical images, Eq 3 of the paper.

    Args:
      logits: logits of an image being atypical, shape `[...]`.
      atypical: targets, same shape: 1 or True for atypical images, else 0 or False.

    Raises:
      ValueError: the shapes differ.
    """
    _checks.same_shape(logits=logits, atypical=atypical)
    _checks.floating(logits=logits)
    # `softplus(logit) - logit * target` is the same, but rounds to 0 at large logits.
    missed, false_alarm = jax.nn.softplus(-logits), jax.nn.softplus(logits)
    return atypical * missed + (1 - atypical) * false_alarm
