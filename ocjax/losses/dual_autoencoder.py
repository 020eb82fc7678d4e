"""The loss of an autoencoder that plays the discriminator."""

import jax

from ocjax import _checks


def auxiliary(
    real_errors: jax.Array, generated_errors: jax.Array, k: float = 0.4
) -> jax.Array:
    """Loss of LR-GDAN's auxiliary autoencoder D', `L_girec - k L_direc`.

    D' learns to reconstruct images well and what a generator G makes of them badly.
    This is the loss of D' alone: G's part in the game is to lower `generated_errors`,
    as in ADAE and BEGAN. Were G to minimize the difference as well, it would be paid
    for images that D' cannot reconstruct.

    Where G is perfect the loss is `(1 - k) real_errors`, so positive for k < 1; it has
    no lower bound unless the outputs of D' are bounded. Unlike in BEGAN k is constant.

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
