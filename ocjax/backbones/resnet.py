"""ResNets: the networks whose features most published detectors stand on.

He et al., "Deep Residual Learning for Image Recognition" (2016,
https://arxiv.org/abs/1512.03385), a bottleneck's stride in its 3x3 convolution; with
twice the inner width, Zagoruyko and Komodakis, "Wide Residual Networks" (2016,
https://arxiv.org/abs/1605.07146). Layers have the names of torchvision and timm.
"""

import functools
from collections.abc import Collection, Iterator
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from ocjax.backbones import layers

# Moments of red, green and blue in [0, 1], over ImageNet.
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)


class ResNet(nn.Module):
    """The network up to its pooled features; the classifier is left out.

    Attributes:
      repeats: blocks of each of the four layers.
      bottleneck: make blocks of 1x1, 3x3 and 1x1, four times as wide outside as inside;
        else of two 3x3.
      inner: channels inside the first layer's blocks, doubled from layer to layer.
    """

    repeats: tuple[int, ...] = (2, 2, 2, 2)
    bottleneck: bool = False
    inner: int = 64

    EPSILON: ClassVar[float] = 1e-5  # Constant added to the normalization's variances.
    UNUSED: ClassVar[tuple[str, ...]] = ("fc.weight", "fc.bias")

    @nn.compact
    def __call__(
        self, images: jax.typing.ArrayLike, names: Collection[str] | None = None
    ) -> dict[str, jax.Array]:
        """Computes features, and nothing behind the last that is asked for.

        Args:
          images: floats of shape `[B, H, W, 1 or 3]`, in [-1, 1]; any size.
          names: names of the features; None for all.

        Returns:
          Features by name: "layer1" to "layer4", maps `[B, h, w, C]`, and "pooled", the
          last one's mean, `[B, C]`.
        """
        return layers.select(_features(self, images), names)

    @staticmethod
    def norm(layer: str) -> str:
        """Name of the normalization that follows a layer."""
        if layer.endswith(".downsample.0"):
            return layer.removesuffix("0") + "1"
        prefix, _, number = layer.rpartition("conv")
        return f"{prefix}bn{number}"


def _features(
    network: ResNet, images: jax.typing.ArrayLike
) -> Iterator[tuple[str, jax.Array]]:
    """Yields all features in their order; called inside the network."""
    conv = functools.partial(layers.Convolution, padding="pytorch")
    x = (layers.coloured(images) + 1) / 2
    x = (x - layers.along_channels(MEAN, x)) / layers.along_channels(DEVIATION, x)
    x = nn.relu(conv(64, 7, 2, name="conv1")(x))
    # The maximum of 3x3 is padded with zeros, since no value is below.
    x = functools.reduce(
        jnp.maximum, layers.windows(x, 3, 2, [(1, 1)] * 2, jnp.zeros((), x.dtype))
    )
    for i, repeats in enumerate(network.repeats):
        outer, inner = 64 * 2**i, network.inner * 2**i
        for j in range(repeats):
            layer, stride = f"layer{i + 1}.{j}.", 2 if i > 0 and j == 0 else 1
            if network.bottleneck:
                sides = ((inner, 1, 1), (inner, 3, stride), (4 * outer, 1, 1))
            else:
                sides = ((outer, 3, stride), (outer, 3, 1))
            y = x
            for number, (channels, side, step) in enumerate(sides, start=1):
                y = y if number == 1 else nn.relu(y)
                y = conv(channels, side, step, name=f"{layer}conv{number}")(y)
            if x.shape != y.shape:
                x = conv(y.shape[-1], 1, stride, name=f"{layer}downsample.0")(x)
            x = nn.relu(x + y)
        yield f"layer{i + 1}", x
    yield "pooled", x.mean((1, 2))
