"""Pictures larger than a method's images, in overlapping tiles.

The tiled method is a method too: it takes pictures, trains on random tiles of them, and
scores, reconstructs and explains whole pictures. So it is trained, judged, exported and
served as any other.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ocjax._checks import InputError, one_of
from ocjax.methods.base import Method, Pass, Views
from ocjax.modules.noise import example_keys

REDUCTIONS = {"max": jnp.max, "mean": jnp.mean}


def tiled(
    method: Method, size: int, *, overlap: float = 0.5, reduction: str = "max"
) -> Method:
    """The method on tiles of larger pictures `[B, S, S, C]`, `S >= size`.

    A step sees one tile of each picture of its batch, anywhere in it; a pass sees all
    tiles of each picture, as images of their own. A score is the largest of the tiles'
    scores, for small defects, or their mean, and a grade likewise. Reconstructions and
    anomaly maps are stitched: a pixel is the mean over the tiles that have it. Latents
    are left out, for they are of tiles.

    Args:
      method: method of tiles.
      size: side of a tile, the method's own image size.
      overlap: least part of a tile that the next one covers too, in [0, 1).
      reduction: key of `REDUCTIONS`.

    Raises:
      InputError: the overlap is out of range, or the reduction is unknown.
    """
    reduce = REDUCTIONS[one_of("tile reduction", reduction, REDUCTIONS)]
    if not 0 <= overlap < 1:
        raise InputError(f"The overlap of tiles (={overlap}) must be in [0, 1).")

    def init(key, pictures):
        starts(pictures.shape[1], size, overlap)  # Raises where tiles do not fit.
        return method.init(key, pictures[:, :size, :size])

    def step(inner):
        def on_tiles(state, pictures, key):
            tile_key, key = jax.random.split(key)
            tiles = random_tiles(pictures, tile_key, size)
            return inner(state, tiles, key)

        return on_tiles

    def reduced(inner):
        def on_pictures(state, pictures):
            # A loop, so that the program does not grow with the number of tiles.
            values = jax.lax.map(
                lambda place: inner(state, _cut(pictures, place, size)),
                _places(pictures.shape[1], size, overlap),
            )
            return reduce(values, axis=0)

        return on_pictures

    stages = [
        stage._replace(
            step=stage.step and step(stage.step),
            grade=stage.grade and reduced(stage.grade),
            computed=stage.computed and _of_all_tiles(stage.computed, size, overlap),
        )
        for stage in method.stages
    ]
    return method._replace(
        init=init,
        stages=tuple(stages),
        score=reduced(method.score),
        error=method.error and reduced(method.error),
        reconstruct=_stitched(method.reconstruct, size, overlap),
        anomaly_map=_stitched_maps(method.anomaly_map, size, overlap),
        embed=None,
        views=Views(),
        diagnose=None,
        score_batchwise=None,
    )


def starts(side: int, size: int, overlap: float) -> list[int]:
    """First pixels of tiles along a side, evenly from one end to the other.

    Raises:
      InputError: a tile is larger than the picture.
    """
    if size > side:
        raise InputError(
            f"Tiles (={size}) cannot be larger than pictures (={side}): raise "
            "config.image_size."
        )
    steps = math.ceil((side - size) / max(1, size * (1 - overlap)))
    return np.round(np.linspace(0, side - size, steps + 1)).astype(int).tolist()


def random_tiles(pictures: jax.Array, key: jax.Array, size: int) -> jax.Array:
    """A tile of each picture, `[B, size, size, C]`, of uniform position.

    Args:
      pictures: `[B, S, S, C]`.
      key: randomness of the whole batch, the same on all devices.
      size: side of a tile.
    """
    keys = example_keys(key, len(pictures))
    shape = (size, size, pictures.shape[-1])

    def cut_one(picture, key):
        top, left = jax.random.randint(key, (2,), 0, picture.shape[0] - size + 1)
        return jax.lax.dynamic_slice(picture, (top, left, jnp.zeros_like(top)), shape)

    return jax.vmap(cut_one)(pictures, keys)


def _places(side: int, size: int, overlap: float) -> np.ndarray:
    """Corners (top, left) of all tiles, int32 `[T, 2]`."""
    lines = np.array(starts(side, size, overlap), np.int32)
    return np.stack(np.meshgrid(lines, lines, indexing="ij"), -1).reshape(-1, 2)


def _cut(pictures: jax.Array, place: jax.Array, size: int) -> jax.Array:
    """The tile at one place of all pictures, `[B, size, size, C]`."""
    rows = jax.lax.dynamic_slice_in_dim(pictures, place[0], size, 1)
    return jax.lax.dynamic_slice_in_dim(rows, place[1], size, 2)


def _of_all_tiles(computed: Pass, size: int, overlap: float) -> Pass:
    """The pass over all tiles of pictures; those of a picture follow each other."""

    def start(state, shape, count):
        tiles = count * len(_places(shape[0], size, overlap))
        return computed.start(state, (size, size, shape[-1]), tiles)

    def add(state, sums, pictures, numbers):
        places = _places(pictures.shape[1], size, overlap)

        def add_tile(sums, tile):
            place, index = tile
            images = _cut(pictures, place, size)
            image_numbers = jnp.where(numbers < 0, -1, numbers * len(places) + index)
            return computed.add(state, sums, images, image_numbers), None

        tiles = places, np.arange(len(places), dtype=np.int32)
        return jax.lax.scan(add_tile, sums, tiles)[0]

    return computed._replace(start=start, add=add)


def _stitched_maps(
    anomaly_map: Callable | None, size: int, overlap: float
) -> Callable | None:
    if anomaly_map is None:
        return None
    with_channel = lambda state, tiles: anomaly_map(state, tiles)[..., None]
    stitched: Any = _stitched(with_channel, size, overlap)
    return lambda state, pictures: stitched(state, pictures)[..., 0]


def _stitched(
    reconstruct: Callable | None, size: int, overlap: float
) -> Callable | None:
    if reconstruct is None:
        return None

    def stitch(state, pictures):
        side = pictures.shape[1]
        places = _places(side, size, overlap)
        count = np.zeros((1, side, side, 1), np.float32)
        for top, left in places:
            count[:, top : top + size, left : left + size] += 1

        def add(total, place):
            tile = reconstruct(state, _cut(pictures, place, size))
            place = (0, place[0], place[1], 0)
            before = jax.lax.dynamic_slice(total, place, tile.shape)
            return jax.lax.dynamic_update_slice(total, before + tile, place), None

        tile = jax.eval_shape(reconstruct, state, _cut(pictures, places[0], size))
        zeros = jnp.zeros((*pictures.shape[:3], tile.shape[-1]), pictures.dtype)
        total, _ = jax.lax.scan(add, zeros, places)
        return total / count

    return stitch
