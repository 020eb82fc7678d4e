"""Meaning of pixels.

Images are `uint8` on the host and on the device. The compiled step turns a batch
into `float32` in [-1, 1], the range of the decoders' tanh, by `to_float`; no other
module knows the two ranges.
"""

from typing import TYPE_CHECKING

import numpy as np

from ocjax.data import fitting

if TYPE_CHECKING:
    import jax


def to_float(images: "jax.Array") -> "jax.Array":
    """Turns images into floats in [-1, 1].

    Args:
      images: pixels of shape `[...]`, `uint8`; or floating point and already in
        [-1, 1], which are returned unchanged.

    Returns:
      Pixels `x / 127.5 - 1` as `float32`, shape `[...]`.

    Raises:
      TypeError: `images` are neither `uint8` nor floating point.
    """
    import jax.numpy as jnp  # Here, so that exported files are scored without it.

    dtype = jnp.result_type(images)
    if jnp.issubdtype(dtype, jnp.floating):
        return images
    if dtype != jnp.uint8:
        raise TypeError(
            f"Expected `images` to be uint8 or floating point, got {dtype}."
        )
    return jnp.asarray(images, jnp.float32) / 127.5 - 1.0


def to_uint8(images: "jax.Array | np.ndarray") -> np.ndarray:
    """Turns floats in [-1, 1], shape `[...]`, into `uint8` pixels: clipped, rounded."""
    pixels = (np.asarray(images, np.float32) + 1.0) * 127.5
    return np.clip(np.round(pixels), 0, 255).astype(np.uint8)


def check(
    images: np.ndarray,
    name: str = "images",
    *,
    value_range: tuple[float, float] | None = None,
) -> np.ndarray:
    """Checks a user's images and brings floats into [-1, 1].

    The range of floats is never guessed: an image of zeros and ones may be black
    and white in [0, 1], or nearly black in [0, 255].

    Args:
      images: pixels, shape `[N, H, W, C]` with C in {1, 3}; `uint8`, or floating
        point with a `value_range`.
      name: word for the argument in messages.
      value_range: values that stand for black and white in floats.

    Returns:
      Images, the same `uint8` or `float32` in [-1, 1], shape `[N, H, W, C]`.

    Raises:
      TypeError: the dtype is another, or floating point of unstated range.
      ValueError: the shape is another, or a value is not finite or not in
        `value_range`.
    """
    images = np.asarray(images)
    _check_shape(images, name)
    if images.dtype == np.uint8:
        if value_range not in (None, (0, 255)):
            raise ValueError(
                f"Expected no `value_range` with uint8 `{name}`, which mean [0, 255], "
                f"got {value_range}."
            )
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise TypeError(
            f"Expected `{name}` to be uint8 or floating point, got {images.dtype}."
        )
    if value_range is None:
        raise TypeError(
            f"Expected `{name}` to be uint8, got {images.dtype}: state its "
            "`value_range`, as in (0.0, 1.0), or convert it."
        )
    return _rescale(images.astype(np.float32), name, *value_range)


def check_ready(images: np.ndarray, name: str = "images") -> np.ndarray:
    """Checks images that are `uint8`, or floats already in [-1, 1], as `check` does."""
    floating = np.issubdtype(np.asarray(images).dtype, np.floating)
    return check(images, name, value_range=(-1.0, 1.0) if floating else None)


def moments(
    images: np.ndarray, rows: np.ndarray, *, piece: int = 1024
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, of pixels in [0, 1].

    Images are looked at in pieces, so that they may be more than fit in memory.

    Args:
      images: pixels `[N, H, W, C]`; uint8, or floats in [-1, 1].
      rows: indices of the images that count.
      piece: images in a piece.

    Returns:
      Mean and deviation, C numbers each.
    """

    def pixels():
        for start in range(0, len(rows), piece):
            # Sums of many pixels in float32 would be too small.
            part = images[rows[start : start + piece]].astype(np.float64)
            yield part / 255 if images.dtype == np.uint8 else (part + 1) / 2

    count = len(rows) * images.shape[1] * images.shape[2]
    mean = sum(part.sum(axis=(0, 1, 2)) for part in pixels()) / count
    squares = sum(np.square(part - mean).sum(axis=(0, 1, 2)) for part in pixels())
    return tuple(map(float, mean)), tuple(map(float, np.sqrt(squares / count)))


def resize(images: np.ndarray, size: int, fit: str = fitting.STRETCH) -> np.ndarray:
    """Resizes images to squares, bilinearly and with Pillow.

    The papers' torchvision pipelines resize PIL images by the same code; other
    libraries' bilinear filters give other pixels.

    Args:
      images: pixels `[N, H, W, C]` with C in {1, 3}; uint8, or float32 in [-1, 1].
      size: height and width to return, at least 1.
      fit: how images that are not square become so, one of `fitting.FITS`.

    Returns:
      Pixels `[N, size, size, C]` of the same dtype; `images` itself where that is its
      shape.
    """
    if size < 1:
        raise ValueError(f"`size` (={size}) must be at least 1.")
    count, height, width, channels = images.shape
    if (height, width) == (size, size):
        return images
    found = fitting.place((height, width), (size, size), fit)
    resized = np.empty((count, size, size, channels), images.dtype)
    for before, after in zip(images, resized, strict=True):
        inner = _scaled(before[found.seen.slices], found.lies.sides)
        after[:] = fitting.padded(inner, (size, size), found.lies)
    return resized


def resize_one(image: np.ndarray, size: int) -> np.ndarray:
    """Resizes one image `uint8 [H, W, C]` to `[size, size, C]`, as `resize` does."""
    return resize(image[None], size)[0]


def _scaled(pixels: np.ndarray, sides: tuple[int, int]) -> np.ndarray:
    """One image `[H, W, C]` of other sides; each channel of floats on its own."""
    from PIL import Image

    height, width = sides
    scale = lambda picture: np.asarray(
        Image.fromarray(picture).resize((width, height), Image.Resampling.BILINEAR)
    )
    if pixels.dtype == np.uint8:
        # Pillow's grey images have no channel axis.
        grey = pixels.shape[-1] == 1
        return scale(pixels[..., 0] if grey else pixels).reshape(*sides, -1)
    planes = np.moveaxis(pixels, -1, 0)
    scaled = np.stack([scale(np.ascontiguousarray(plane)) for plane in planes], -1)
    return np.clip(scaled, -1, 1)


def _check_shape(images: np.ndarray, name: str) -> None:
    """Raises `ValueError` unless the shape is `[N, H, W, C]` with C in {1, 3}."""
    shape = images.shape
    if len(shape) == 4 and shape[-1] in (1, 3) and min(shape) >= 1:
        return
    hint = ""
    if len(shape) == 3:
        if shape[-1] in (1, 3):
            fix, meaning = "[None]", "one image"
        else:
            fix, meaning = "[..., None]", "grey images"
        hint = f" If these are {meaning}, pass `{name}{fix}`."
    elif len(shape) == 4 and shape[1] in (1, 3):
        hint = f" If channels come first, pass `{name}.transpose(0, 2, 3, 1)`."
    raise ValueError(
        f"Expected `{name}` of shape [N, H, W, C], none of them 0 and C 1 or 3, "
        f"got {list(shape)}.{hint}"
    )


def _rescale(images: np.ndarray, name: str, low: float, high: float) -> np.ndarray:
    """Maps `float32` from [low, high] to [-1, 1], after checking its range."""
    if not low < high:
        raise ValueError(f"Expected `value_range` to increase, got {(low, high)}.")
    if not np.isfinite(images).all():
        raise ValueError(f"Expected `{name}` to be finite, got NaN or infinity.")
    least, most = images.min(), images.max()
    if least < low or most > high:
        raise ValueError(
            f"Expected `{name}` in [{low}, {high}], got values from {least} to {most}."
        )
    if (low, high) == (-1.0, 1.0):
        return images  # Arithmetic would change bits.
    return 2.0 * ((images - low) / (high - low)) - 1.0
