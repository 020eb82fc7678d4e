"""Losses between a discriminator and a generator.

Discriminators give logits, of any shape `[...]`: D = sigmoid(logit) is the
probability that an image is real. Every function returns one value per logit, shape
`[...]`, finite and with finite gradient at any finite logit.
"""

import jax
import jax.numpy as jnp

from ocjax import _checks


def discriminator(real_logits: jax.Array, fake_logits: jax.Array) -> jax.Array:
    """Binary cross entropy of the discriminator, `-[log D(x) + log(1 - D(x'))] / 2`.

    Args:
      real_logits: logits of real images, shape `[...]`.
      fake_logits: logits of generated images, same shape.

    Returns:
      Losses of shape `[...]`; log 2 where both logits are 0.

    Raises:
      ValueError: the shapes differ.
      TypeError: an argument is not floating point.

    References:
      Goodfellow et al., [GAN](https://arxiv.org/abs/1406.2661), 2014, Eq 1; halved
      as in the code of GANomaly.
    """
    _checks.same_shape(real_logits=real_logits, fake_logits=fake_logits)
    _checks.floating(real_logits=real_logits, fake_logits=fake_logits)
    return 0.5 * (jax.nn.softplus(-real_logits) + jax.nn.softplus(fake_logits))


def non_saturating(fake_logits: jax.Array) -> jax.Array:
    """Loss that a generator minimizes in practice, `-log D(x')`.

    Args:
      fake_logits: logits of generated images, shape `[...]`.

    Returns:
      Losses of shape `[...]`; log 2 where the logit is 0.

    Raises:
      TypeError: the argument is not floating point.

    References:
      Goodfellow et al., [GAN](https://arxiv.org/abs/1406.2661), 2014, section 3.
    """
    _checks.floating(fake_logits=fake_logits)
    return jax.nn.softplus(-fake_logits)


def literal(fake_logits: jax.Array) -> jax.Array:
    """Loss of a generator in the min-max game as written, `log(1 - D(x'))`.

    Its gradient vanishes where the discriminator is sure of a fake.

    Args:
      fake_logits: logits of generated images, shape `[...]`.

    Returns:
      Losses of shape `[...]`; -log 2 where the logit is 0.

    Raises:
      TypeError: the argument is not floating point.

    References:
      Goodfellow et al., [GAN](https://arxiv.org/abs/1406.2661), 2014, Eq 1.
    """
    _checks.floating(fake_logits=fake_logits)
    return -jax.nn.softplus(fake_logits)


def feature_matching(features: jax.Array, fake_features: jax.Array) -> jax.Array:
    """Mean squared difference of a discriminator's features, per image.

    GANomaly's adversarial loss. The paper's Eq 1 has the norm of a difference of
    expectations; the code, followed here, compares each image with its own
    reconstruction and takes the mean.

    Args:
      features: features of real images, shape `[..., D]`.
      fake_features: features of their reconstructions, same shape.

    Returns:
      Losses of shape `[...]`, zero where the features are equal.

    Raises:
      ValueError: the shapes differ.
      TypeError: an argument is not floating point.

    References:
      Akcay et al., [GANomaly](https://arxiv.org/abs/1805.06725), 2018, Eq 1; Salimans
      et al., [Improved techniques for training GANs](https://arxiv.org/abs/1606.03498),
      2016, section 3.1.
    """
    _checks.same_shape(features=features, fake_features=fake_features)
    _checks.floating(features=features, fake_features=fake_features)
    return jnp.square(features - fake_features).mean(axis=-1)


# Losses that a generator can minimize, by the names that configurations use.
GENERATOR = {"non_saturating": non_saturating, "literal": literal}
