"""Image files, read as they are needed."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ocjax._checks import InputError


def read(path: str | os.PathLike, shape: tuple[int, int, int]) -> np.ndarray:
    """An image file as `uint8 [H, W, C]`: grey for C = 1, colour for 3, resized.

    Raises:
      InputError: the file cannot be read as an image.
    """
    from PIL import Image

    height, width, channels = shape
    try:
        with Image.open(path) as file:
            image = file.convert("L" if channels == 1 else "RGB")
    except (OSError, SyntaxError, ValueError) as error:  # Pillow raises all of them.
        raise InputError(f"{os.fspath(path)} is no readable image: {error}") from error
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(shape)


def pieces(
    paths: Sequence[str | os.PathLike],
    shape: tuple[int, int, int],
    size: int,
    threads: int = 4,
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
