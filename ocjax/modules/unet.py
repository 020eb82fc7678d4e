"""The generator of Skip-GANomaly (Akcay et al., 2019): the U-Net of pix2pix."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ocjax.modules import precision
from ocjax.modules.dcgan import BatchNorm, check_image_size
from ocjax.modules.layers import Conv, ConvTranspose


class UNet(nn.Module):
    """Pyramid down to 1x1 and up again; each stage up reads its match on the way down.

    Convolutions are 4x4 with stride 2; none has a bias but the last, as in the authors'
    code (samet-akcay/skip-ganomaly). Weights are drawn from N(0, 0.02), BatchNorm
    scales from N(1, 0.02).

    Attributes:
      features: channels of the first convolution; they double at each stage, up to
        eight times as many.
      dtype: type that it computes in.

    References:
      Akcay et al., [Skip-GANomaly](https://arxiv.org/abs/1901.08954), 2019; Isola et
      al., [pix2pix](https://arxiv.org/abs/1611.07004), 2017, section 6.1.
    """

    features: int = 64
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> tuple[jax.Array, jax.Array]:
        """Reconstructs images.

        Args:
          x: images, shape `[B, S, S, C]`, in `[-1, 1]`, `S = 32 * 2^n`.
          train: use the statistics of this batch.

        Returns:
          Reconstructions `[B, S, S, C]` in `[-1, 1]`, and latents
          `[B, 8 * features]`, the linear outputs of the innermost convolution.
        """
        batch, size, width, image_channels = x.shape
        check_image_size(size, width)
        x = x.astype(self.dtype)
        levels = size.bit_length() - 1  # log2(S): down to 1x1.
        channels = [self.features * min(2**level, 8) for level in range(levels)]
        down = []
        for level in range(levels):
            x = nn.leaky_relu(x, 0.2) if level else x
            x = Conv(channels[level], kernel=4, stride=2, padding=1)(x)
            if 0 < level < levels - 1:
                x = BatchNorm()(x, train)
            down.append(x)
        latent = x.reshape(batch, -1)
        for level in reversed(range(levels - 1)):
            x = nn.relu(x)
            x = ConvTranspose(channels[level], kernel=4, stride=2, padding=1)(x)
            x = BatchNorm()(x, train)
            x = jnp.concatenate([down[level], x], axis=-1)
        last = ConvTranspose(
            image_channels, kernel=4, stride=2, padding=1, use_bias=True
        )
        return jnp.tanh(precision.widen(last(nn.relu(x)))), latent
