"""Features of pictures a second by EfficientNet-Lite0: PyTorch against ocjax.

    python benchmarks/backbones.py

PyTorch has the same weights with normalization folded into them, channels last, and
rectifies in place; ocjax has each form of its depthwise convolutions. Pictures and
features lie on the device. Needs the weights of the extra `pretrained`.
"""

import functools
from collections.abc import Callable
from unittest import mock

import interleave
import jax
import numpy as np
import torch
import torch_ganomaly
from absl import app, flags
from torch import nn
from torch.nn import functional as F

from ocjax import backbones
from ocjax.backbones import efficientnet_lite, layers

ROUNDS = flags.DEFINE_integer("rounds", 7, "Turns of each candidate.")
SECONDS = flags.DEFINE_float("seconds", 3.0, "Least length of a turn.")
SIZE = flags.DEFINE_integer("size", 224, "Height and width of the pictures.")
BATCH = flags.DEFINE_integer("batch", 32, "Pictures in a batch.")
NAME = flags.DEFINE_string("name", "backbones", "Of the file with the result.")

FORMS = {
    "ocjax, shifted multiples": layers.shifted,
    "ocjax, grouped convolutions": layers.grouped,
}
# Features, and the number of blocks that they need.
ASKED = {"pooled": (("pooled",), 16), "blocks 4 and 10": (("block4", "block10"), 11)}


class Convolution(nn.Module):
    """A convolution with the zeros that TensorFlow adds, and perhaps ReLU6."""

    def __init__(self, params, *, stride=1, depthwise=False, rectified=True):
        super().__init__()
        side, _, inputs, outputs = params["kernel"].shape
        groups = outputs if depthwise else 1
        self.conv = nn.Conv2d(inputs * groups, outputs, side, stride, groups=groups)
        kernel = np.ascontiguousarray(params["kernel"].transpose(3, 2, 0, 1))
        self.conv.weight.data = torch.tensor(kernel)
        self.conv.bias.data = torch.tensor(params["bias"])
        if stride == 1:
            self.conv.padding = (side // 2, side // 2)
        self.rectified = rectified

    def forward(self, x):
        """Images `[B, O, H', W']`."""
        (side, _), (stride, _) = self.conv.kernel_size, self.conv.stride
        if stride > 1:
            short = [max((-(-n // stride) - 1) * stride + side - n, 0) for n in x.shape]
            high, wide = short[2:]
            x = F.pad(x, (wide // 2, wide - wide // 2, high // 2, high - high // 2))
        x = self.conv(x)
        return F.relu6(x, inplace=True) if self.rectified else x


class Block(nn.Module):
    """An inverted residual block."""

    def __init__(self, params, number, block):
        super().__init__()
        of = lambda layer: params[f"_blocks.{number}.{layer}_conv"]
        steps = [] if block.expansion == 1 else [Convolution(of("_expand"))]
        steps += [
            Convolution(of("_depthwise"), stride=block.stride, depthwise=True),
            Convolution(of("_project"), rectified=False),
        ]
        self.steps, self.stride = nn.Sequential(*steps), block.stride

    def forward(self, x):
        """Images of the block's channels."""
        y = self.steps(x)
        return x + y if self.stride == 1 and x.shape == y.shape else y


class Network(nn.Module):
    """EfficientNet-Lite0 up to its pooled features."""

    def __init__(self, params):
        super().__init__()
        self.stem = Convolution(params["_conv_stem"], stride=2)
        every = enumerate(efficientnet_lite.blocks(1.0, 1.0))
        self.blocks = nn.ModuleList(Block(params, i, block) for i, block in every)
        self.head = Convolution(params["_conv_head"])

    def forward(self, images, names, count):
        """Features of the names, for which so many blocks are computed."""
        features, x = {}, self.stem(images * (127.5 / 128) + 0.5 / 128)
        for number, block in enumerate(self.blocks[:count]):
            x = features[f"block{number}"] = block(x)
        if "pooled" in names:
            features["pooled"] = self.head(x).mean((2, 3))
        return [features[name] for name in names]


def torch_candidate(network: Network, images: torch.Tensor, names, count) -> Callable:
    """Features of a batch `[B, C, H, W]`."""

    @torch.inference_mode()
    def work():
        work.features = network(images, names, count)
        if images.is_cuda:
            torch.cuda.synchronize()
        return len(images)

    return work


def ocjax_candidate(backbone, params, images: jax.Array, names, form) -> Callable:
    """Features of a batch `[B, H, W, C]` with depthwise convolutions of one form."""
    apply = jax.jit(functools.partial(backbone.apply, names=names))
    with mock.patch.dict(layers.PLATFORMS, dict.fromkeys(layers.PLATFORMS, form)):
        compiled = apply.lower(params, images).compile()

    def work():
        work.features = jax.block_until_ready(compiled(params, images))
        return len(images)

    return work


def check(one: Callable, other: Callable, names) -> None:
    """Raises unless PyTorch and ocjax compute the same."""
    one(), other()
    for name, x in zip(names, one.features, strict=True):
        y = np.asarray(other.features[name])
        x = x.cpu().numpy()
        x = x.transpose(0, 2, 3, 1) if x.ndim == 4 else x
        np.testing.assert_allclose(y, x, atol=1e-3 * np.abs(x).max())


def main(_):
    """Measures, prints and writes the result."""
    device = torch_ganomaly.prepare(
        cuda=jax.default_backend() == "gpu", tf32=False, threads=interleave.cores()
    )
    backbone = backbones.load("efficientnet_lite0")
    shape = (BATCH.value, SIZE.value, SIZE.value, 3)
    images = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    network = Network(backbone.params).to(device, memory_format=torch.channels_last)
    there = torch.tensor(images, device=device).permute(0, 3, 1, 2)
    params, images = jax.device_put((backbone.params, images))

    tables, every = {}, {}
    for caption, (names, count) in ASKED.items():
        candidates = {
            torch_ganomaly.TUNED: torch_candidate(network, there, names, count)
        }
        for form, function in FORMS.items():
            candidates[form] = ocjax_candidate(
                backbone, params, images, names, function
            )
            check(candidates[torch_ganomaly.TUNED], candidates[form], names)
        rates = interleave.interleaved(
            candidates, rounds=ROUNDS.value, seconds=SECONDS.value
        )
        every[caption] = rates
        caption = f"{caption}, {SIZE.value}x{SIZE.value}, batch {BATCH.value}, float32"
        tables[caption] = interleave.compare(rates, baselines=(torch_ganomaly.TUNED,))
    interleave.write(
        NAME.value,
        "Frozen features",
        tables,
        rates=every,
        settings={"rounds": ROUNDS.value, "seconds": SECONDS.value},
    )


if __name__ == "__main__":
    app.run(main)
