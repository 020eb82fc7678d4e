"""Application of a function of image batches to any number of images.

The images stay on the host and go to the devices in pieces, two at a time, so their
memory does not grow with the number of images. Every piece has one size, the last one
padded and its results cut, so that a function is compiled once for any large number of
images. All local devices take part, each with its share of every piece.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ocjax.data.images import to_float


def map_images(
    function: Callable[..., Any],
    images: np.ndarray,
    *,
    arguments: tuple = (),
    chunk: int | None = None,
    piece: int = 1024,
) -> Any:
    """Returns `function(*arguments, images)`, computed a chunk of images at a time.

    The result of an image must not depend on the others. `function` is compiled once
    for each such object, image shape, chunk and number of chunks; so pass what changes
    between calls (parameters, a state) in `arguments`, and the same `function` each
    time rather than a new lambda or partial.

    Args:
      function: function of `arguments`, then of float32 images `[B, H, W, C]` in
        [-1, 1], that returns a pytree of arrays with leading axis `B`.
      images: pixels `[N, H, W, C]` for any `N`; uint8, or floats in [-1, 1].
      arguments: pytrees of arrays that `function` takes first.
      chunk: images `B` in one application of `function`; by default 32 on CPUs, whose
        caches hold no more, else as many as have 2^20 pixels. It does not depend on
        the number of images: products of another shape round otherwise.
      piece: images sent to a device together, a multiple of `chunk`. Fewer images
        than that take the smallest power of two of chunks that holds them.

    Returns:
      Pytree of the results, numpy arrays with leading axis `N`.

    Raises:
      ValueError: `images` has not four axes, or `piece` is no multiple of `chunk`.
    """
    images = np.asarray(images)
    if images.ndim != 4:
        raise ValueError(f"Expected `images` of shape [N, H, W, C], got {images.shape}")
    devices = jax.local_device_count()
    if chunk is None:
        chunk = math.gcd(piece, _chunk(jax.default_backend(), *images.shape[1:3]))
    if chunk < 1 or piece < chunk or piece % chunk:
        raise ValueError(
            f"Expected `piece` to be a positive multiple of `chunk`, got {piece=} "
            f"and {chunk=}."
        )
    all_chunks = -(-len(images) // (chunk * devices))
    chunks = min(piece // chunk, 1 << max(all_chunks - 1, 0).bit_length())
    shape, run = images.shape[1:], _program(function, devices)
    size, computing, results = devices * chunks * chunk, [], []
    arguments = _everywhere(arguments, devices)  # Here, so that they are sent once.
    for start in range(0, max(len(images), 1), size):
        padded = np.zeros((size, *shape), images.dtype)
        part = images[start : start + size]
        padded[: len(part)] = part
        chunked = padded.reshape(devices, chunks, chunk, *shape)
        computing.append(run(arguments, chunked if devices > 1 else chunked[0]))
        if len(computing) > 1:  # The next piece is on its way to the devices.
            results.append(jax.device_get(computing.pop(0)))
    results += jax.device_get(computing)
    if devices > 1:
        results = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), results)
    return jax.tree.map(lambda *xs: np.concatenate(xs)[: len(images)], *results)


def _everywhere(tree: Any, devices: int) -> Any:
    """Copies arrays to every local device."""
    if devices == 1:
        return jax.device_put(tree)
    mesh = Mesh(np.array(jax.local_devices()), ("device",))
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def _chunk(backend: str, height: int, width: int) -> int:
    """Default number of images in one application of a function, a power of two."""
    if backend == "cpu":
        return 32
    return 1 << (max(1, 2**20 // (height * width)).bit_length() - 1)


@functools.lru_cache(32)
def _program(function: Callable[..., Any], devices: int) -> Callable[..., Any]:
    chunks = functools.partial(_map_chunks, function)
    if devices == 1:
        return jax.jit(chunks)
    return jax.pmap(chunks, in_axes=(None, 0), devices=jax.local_devices())


def _map_chunks(function: Callable[..., Any], arguments: tuple, images: jax.Array):
    """Maps over the first axis of `[chunks, B, H, W, C]`, and joins the first two."""
    results = jax.lax.map(lambda x: function(*arguments, to_float(x)), images)
    return jax.tree.map(lambda y: y.reshape(-1, *y.shape[2:]), results)
