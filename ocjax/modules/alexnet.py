"""AlexNet (Krizhevsky et al., 2012), made small for images of 32x32."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from ocjax.modules import layers, pool
from ocjax.modules.dcgan import check_image_size
from ocjax.modules.noise import Dropout

_Conv = functools.partial(
    layers.Conv,
    kernel=3,
    padding=1,
    use_bias=True,
    kernel_init=nn.initializers.he_normal(in_axis=1, out_axis=0),
)
_Dense = functools.partial(layers.Dense, kernel_init=nn.initializers.he_normal())


class AlexNet(nn.Module):
    """Five convolutions, three of them pooled, and two dense layers.

    Deep one-class classification by data splitting takes AlexNet up to its second-last
    layer and does not say how it is fitted to images of 28x28 and 32x32. Here there are
    half as many channels, convolutions are 3x3 with stride 1, pooling is over 2x2, the
    hidden dense layer has 256 units rather than 4096, there is no local response
    normalization, and weights are drawn with variance 2 / inputs: N(0, 0.01) is made
    for wider layers, here the signal would fade. As in AlexNet, units of both dense
    layers are dropped: those of the hidden one here, those of z by what maps z to
    outputs.

    Attributes:
      outputs: length of z.
      width: factor on the number of channels and hidden units.
      dtype: type that it computes in.

    References:
      Krizhevsky et al., "ImageNet classification with deep convolutional neural
      networks", 2012; Schlachter et al., [Deep one-class classification using data
      splitting](https://arxiv.org/abs/1902.01194), 2019, section 3.
    """

    outputs: int = 128
    width: float = 1.0
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Maps images to features.

        Args:
          x: images, shape `[B, S, S, C]`, `S = 32 * 2^n`, in any one range around 0
            or 1.
          train: drop hidden units; needs the key "dropout".

        Returns:
          Features `z >= 0` of shape `[B, outputs]`.
        """
        check_image_size(*x.shape[1:3])
        x = x.astype(self.dtype)
        *convolutions, units = layers.scaled(self.width, 32, 96, 192, 128, 128, 256)
        for stage, channels in enumerate(convolutions):
            x = nn.relu(_Conv(channels)(x))
            if stage in (0, 1, 4):
                x = pool.maximum(x)
        x = nn.relu(_Dense(units)(x.reshape(len(x), -1)))
        x = Dropout(0.5)(x, train)
        return nn.relu(_Dense(self.outputs)(x))
