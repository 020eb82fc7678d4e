"""Entropy of latent vectors."""

import jax
import jax.numpy as jnp

from ocjax import _checks


def softmax_entropy(latents: jax.Array) -> jax.Array:
    """Entropy of a latent vector read as logits, `-sum p log p` for p its softmax.

    Minimized, it leaves few units of the latent active for any one image.

    Args:
      latents: latent vectors, shape `[..., D]`.

    Returns:
      Entropies in nats, shape `[...]`: log D where all units are equal, near 0 where
      one exceeds the others by far.

    Raises:
      TypeError: the argument is not floating point.

    References:
      Tian et al., [Improving auto-encoder novelty detection using channel attention
      and entropy minimization](https://arxiv.org/abs/2007.01682), 2020, Eq 4.
    """
    _checks.floating(latents=latents)
    log_p = jax.nn.log_softmax(latents, axis=-1)
    return -(jnp.exp(log_p) * log_p).sum(axis=-1)
