"""The loss of an autoencoder that plays the discriminator, and its balance."""

import jax
import jax.numpy as jnp

from ocjax import _checks


def auxiliary(
    real_errors: jax.Array, generated_errors: jax.Array, k: jax.Array | float = 0.4
) -> jax.Array:
    """Loss of LR-GDAN's auxiliary autoencoder D', `L_girec - k L_direc`.

    D' learns to reconstruct images well and what a generator G makes of them badly.
    This is the loss of D' alone: G's part in the game is to lower `generated_errors`,
    as in ADAE and BEGAN. Were G to minimize the difference as well, it would be paid
    for images that D' cannot reconstruct.

    Where G is perfect the loss is `(1 - k) real_errors`, so positive for k < 1; it has
    no lower bound unless the outputs of D' are bounded. The paper holds k at 0.4, BEGAN
    controls it, as `controlled` does.

    Args:
      real_errors: errors `||x - D'(x)||_1` of images x, shape `[...]`.
      generated_errors: errors `||G(x) - D'(G(x))||_1`, same shape.
      k: weight of the generated images.

    Returns:
      Losses of shape `[...]`.

    Raises:
      ValueError: the shapes differ.
      TypeError: an argument is not floating point.

    References:
      Chen et al., [LR-GDAN](https://doi.org/10.24963/ijcai.2020/106), 2020, Eqs 5
      and 6; Berthelot et al., [BEGAN](https://arxiv.org/abs/1703.10717), 2017;
      Vu et al., [ADAE](https://arxiv.org/abs/1902.06924), 2019.
    """
    _checks.same_shape(real_errors=real_errors, generated_errors=generated_errors)
    _checks.floating(real_errors=real_errors, generated_errors=generated_errors)
    return real_errors - k * generated_errors


def controlled(
    k: jax.Array | float,
    real_error: jax.Array,
    generated_error: jax.Array,
    *,
    rate: float,
    ratio: float,
) -> jax.Array:
    """The next k of BEGAN, `k + rate (ratio L_real - L_generated)`, within [0, 1].

    Where D' reconstructs generated images worse than `ratio` times the error on real
    ones, k falls, and D' learns to reconstruct more than to fail.

    Args:
      k: weight of the generated images, shape `[...]`.
      real_error: mean error of D' on a pixel of real images, same shape.
      generated_error: that of generated images, same shape.
      rate: lambda_k of BEGAN, which has 1e-3.
      ratio: gamma of BEGAN, the share that is kept; there in [0, 1].

    Returns:
      The next k, same shape.

    Raises:
      ValueError: the shapes of errors differ.
      TypeError: an error is not floating point.

    References:
      Berthelot et al., [BEGAN](https://arxiv.org/abs/1703.10717), 2017, section 3.4.
    """
    _checks.same_shape(real_error=real_error, generated_error=generated_error)
    _checks.floating(real_error=real_error, generated_error=generated_error)
    return jnp.clip(k + rate * (ratio * real_error - generated_error), 0.0, 1.0)
