"""Channel attention."""

import flax.linen as nn
import jax

from ocjax.modules import layers, pool, precision


class ChannelAttention(nn.Module):
    """Weighs each channel of an image by what its mean and its maximum say.

    One network of two dense layers, C -> C / reduction -> C with a ReLU between, reads
    both; the outputs are added before the sigmoid. Kernels are drawn by flax's default
    (variance 1 / inputs), biases start at 0, so that weights start near 0.5.

    The weights `[B, C]`, in `(0, 1)`, are sown as "attention" among "intermediates".
    They are float32 whatever the images are: they cost next to nothing.

    Attributes:
      reduction: channels for each hidden unit; 16 in the reference code
        (Jongchan/attention-module).

    References:
      Tian et al., "Improving auto-encoder novelty detection using channel attention and
      entropy minimization", 2020, Eq 5; Woo et al.,
      [CBAM](https://arxiv.org/abs/1807.06521), 2018, Eq 2.
    """

    reduction: int = 16

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Weighs the channels of images `[B, H, W, C]`, whose shape stays."""
        dtype, x = x.dtype, precision.widen(x)
        channels = x.shape[-1]
        hidden = layers.Dense(max(1, channels // self.reduction), name="hidden")
        output = layers.Dense(channels, name="output")
        read = lambda summary: output(nn.relu(hidden(summary)))
        weights = nn.sigmoid(read(x.mean(axis=(1, 2))) + read(pool.largest(x)))
        self.sow("intermediates", "attention", weights)
        return (x * weights[:, None, None, :]).astype(dtype)
