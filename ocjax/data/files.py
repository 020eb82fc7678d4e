"""Image files, read as they are needed."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ocjax._checks import InputError

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
THREADS = 4
_GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "F")  # Pillow's names of pixel kinds.


def open_rgb(path: str | os.PathLike) -> np.ndarray:
    """An image file in colour and as large as it is, `uint8 [H, W, 3]`.

    Raises:
      InputError: the file cannot be read as an image.
    """
    from PIL import Image

    with _readable(path), Image.open(path) as file:
        return np.asarray(file.convert("RGB"))


def read(path: str | os.PathLike, shape: tuple[int, int, int]) -> np.ndarray:
    """An image file as `uint8 [H, W, C]`: grey for C = 1, colour for 3, resized.

    Turned as its camera noted. Of 16 bits a pixel the upper 8 are kept.

    Raises:
      InputError: the file cannot be read as an image.
    """
    from PIL import Image, ImageOps

    height, width, channels = shape
    with _readable(path), Image.open(path) as file:
        ImageOps.exif_transpose(file, in_place=True)
        image = file
        if file.mode in ("I", "F"):
            raise ValueError("32 bits a pixel, of an unknown range")
        if file.mode.startswith("I;16"):
            # Pillow would clip them at 255.
            image = Image.fromarray((np.asarray(file) >> 8).astype(np.uint8))
        image = image.convert("L" if channels == 1 else "RGB")
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(shape)


def is_grey(path: str | os.PathLike) -> bool:
    """Whether an image file has no colours, as its header says.

    Raises:
      InputError: the file cannot be read as an image.
    """
    from PIL import Image

    with _readable(path), Image.open(path) as file:
        return file.mode in _GREY


@contextlib.contextmanager
def _readable(path: str | os.PathLike) -> Iterator[None]:
    """Turns what Pillow raises into an `InputError`."""
    try:
        yield
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{os.fspath(path)} is no readable image: {error}") from error


def every(function: Callable, items: Iterable) -> list:
    """`function(item)` of all items; raises the first `InputError`, if any."""
    found = list(each(function, items))
    for result in found:
        if isinstance(result, InputError):
            raise result
    return found


def each(function: Callable, items: Iterable) -> Iterator:
    """`function(item)`, or the `InputError` that it raised, in the order of `items`."""

    def caught(item):
        try:
            return function(item)
        except InputError as error:
            return error

    with ThreadPoolExecutor(THREADS) as pool:
        yield from pool.map(caught, items)


def pieces(
    paths: Sequence[str | os.PathLike],
    shape: tuple[int, int, int],
    size: int,
    threads: int = THREADS,
) -> Iterator[tuple[list[str], np.ndarray]]:
    """Reads files, the next piece while the last one is in use.

    Args:
      paths: of the files.
      shape: of the images, as in `read`.
      size: images in a piece.
      threads: that read at the same time.

    Yields:
      Names of up to `size` files, and their images `uint8 [n, H, W, C]`.

    Raises:
      InputError: a file cannot be read as an image.
    """
    names = [os.fspath(path) for path in paths]
    parts = [names[start : start + size] for start in range(0, len(names), size)]
    with ThreadPoolExecutor(threads) as pool:
        begin = lambda part: [pool.submit(read, name, shape) for name in part]
        coming = begin(parts[0]) if parts else []
        for i, part in enumerate(parts):
            images = np.stack([image.result() for image in coming])
            coming = begin(parts[i + 1]) if i + 1 < len(parts) else []
            yield part, images
