"""Lists of pictures: files, Pillow's images, and arrays of any size.

They are read as `ocjax.data.files` reads files, and resized one by one, so that memory
holds them only as networks see them.
"""

import io
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ocjax._checks import InputError
from ocjax._files import local
from ocjax.data import files
from ocjax.data import images as images_lib

if TYPE_CHECKING:
    from PIL import Image

_DECODING = threading.Lock()  # One of Pillow's images may be in a list twice.
_LUMA = 19595, 38470, 7471  # Pillow's weights of red, green and blue; 2^16 in all.
_GREY = ("1", "L", "LA", "I", "F", "I;16", "I;16B", "I;16L")  # Pillow's modes.
_COLOUR = ("RGB", "RGBA", "CMYK")
_PICTURES = "files, PIL images, or arrays [H, W] or [H, W, C]"
Convert = Callable[[np.ndarray, str], np.ndarray]


def as_list_or_array(X: Any) -> Any:
    """A list of pictures, or an array where all have one shape.

    Raises:
      InputError: `X` is one picture, or has neither length nor shape.
    """
    if isinstance(X, str | os.PathLike):
        raise InputError(
            f"Expected a list of pictures, got one path: pass [{os.fspath(X)!r}], or of"
            " a folder its files, as ocjax.data.files.below(pathlib.Path(X))."
        )
    if is_pil(X):
        raise InputError("Expected a list of pictures, got one: pass [X].")
    if isinstance(X, Iterator):
        raise InputError("Expected a list of pictures, got an iterator: pass list(X).")
    items = _items(X)
    if items is None:
        array = X if hasattr(X, "shape") else np.asarray(X)
        if not array.shape:
            raise InputError(
                f"Expected images, rows, or a list of pictures ({_PICTURES}), got one "
                f"{type(X).__name__}."
            )
        return array
    if not items:
        raise InputError("Expected images, got an empty list.")
    if any(is_path(item) or is_pil(item) for item in items):
        return items
    # Items of a list of numbers have shape () or none; those of a list of lists none.
    shapes = {np.shape(item) if hasattr(item, "shape") else None for item in items}
    if shapes - {(), None} and len(shapes) > 1:
        return items
    try:
        return np.asarray(items)
    except ValueError:
        raise InputError(
            f"Expected `X` of one shape, or a list of pictures ({_PICTURES}), got a "
            "list of lists that differ in length."
        ) from None


def _items(X: Any) -> list | None:
    """Items of a list, or of an array of objects or strings with one axis."""
    if isinstance(X, list | tuple):
        return list(X)
    kind = getattr(getattr(X, "dtype", None), "kind", "")
    return list(X) if kind in "OUT" and getattr(X, "ndim", 0) == 1 else None


def is_path(item: Any) -> bool:
    """Whether an item is the path of a file."""
    return isinstance(item, str | os.PathLike)


def is_pil(item: Any) -> bool:
    """Whether an item is a picture of Pillow."""
    from PIL import Image

    return isinstance(item, Image.Image)


def as_pictures(X: Any, channels: int) -> list[np.ndarray]:
    """Pictures of an array, where a list of pictures trained.

    Raises:
      InputError: `X` is one picture.
    """
    X = np.asarray(X)
    ends = (1, 3) if channels == 1 else (3,)
    if X.ndim < 3 or (X.ndim == 3 and X.shape[-1] in ends):
        raise InputError(
            "Expected a list of pictures, or images of shape [N, H, W] or [N, H, W, C],"
            f" got {list(X.shape)}; one picture is passed as [X]."
        )
    return list(X)


def channels_of(pictures: Sequence) -> int:
    """Channels of the pictures of a list: 1 where all are grey, else 3."""
    # A picture that cannot be read gives an error here; `read` raises it.
    grey = files.each(_is_grey, pictures)
    return 3 if any(answer is False for answer in grey) else 1


def read(
    pictures: Sequence,
    shape: tuple[int, int, int],
    fit: str,
    room: int,
    convert: Convert,
) -> np.ndarray:
    """Pictures of a list, of any sizes, resized to squares.

    Args:
      pictures: files, Pillow's images, and arrays `[H, W]` or `[H, W, C]`.
      shape: shape (S, S, C) of each image to return.
      fit: how they become square, one of `ocjax.data.fitting.FITS`.
      room: length of the result, the number of pictures or more; the rest is black.
      convert: function of images `[n, H, W, C]` of arrays, and of their name, that
        gives uint8, or floats in [-1, 1].

    Returns:
      Images `[room, S, S, C]`, uint8 or float32.

    Raises:
      InputError: some cannot be read; the message names them.
      ValueError: an array is no picture.
    """
    read_one = lambda item: _read(item[1], f"X[{item[0]}]", shape, fit, convert)
    images, errors = None, []
    for i, image in enumerate(files.each(read_one, enumerate(pictures))):
        if isinstance(image, InputError):
            errors.append(image)
            continue
        if images is None:
            images = np.zeros((room, *shape), image.dtype)
        if image.dtype != images.dtype:
            raise InputError(
                "Expected files and uint8 pictures, or numbers with a `value_range`, "
                "got a list of both."
            )
        images[i] = image
    if errors or images is None:
        raise InputError(f"{files.unreadable(errors, len(pictures))}.")
    return images


def _is_grey(picture: Any) -> bool:
    if is_path(picture):
        return files.is_grey(local(picture))
    if is_pil(picture):
        return picture.mode in _GREY
    shape = np.shape(picture)
    return len(shape) == 2 or shape[-1:] == (1,)


def _read(
    picture: Any, name: str, shape: tuple[int, int, int], fit: str, convert: Convert
) -> np.ndarray:
    """Reads a picture as `[S, S, C]`, uint8 or float32."""
    if is_path(picture):
        return files.read(local(picture, name), shape, fit)
    if is_pil(picture):
        return files.decode(_encoded(picture, name), name, shape, fit)
    if not hasattr(picture, "shape"):
        raise ValueError(
            f"Expected pictures ({_PICTURES}), got a {type(picture).__name__} as "
            f"{name}."
        )
    array = np.asarray(picture)
    array = array[..., None] if array.ndim == 2 else array
    if array.ndim != 3 or array.shape[-1] not in (1, 3) or not array.size:
        raise ValueError(
            "Expected pictures of shape [H, W] or [H, W, C] with C 1 or 3, got "
            f"{list(np.shape(picture))} as {name}."
        )
    image = _with_channels(convert(array[None], name), shape[-1])
    return images_lib.resize(image, shape[0], fit)[0]


def _encoded(picture: "Image.Image", name: str) -> bytes:
    """Content of a file of Pillow's image, which is read as any other."""
    from PIL import ImageOps

    content = io.BytesIO()
    try:
        with _DECODING:
            picture.load()
        picture = ImageOps.exif_transpose(picture)
        transparent = picture.has_transparency_data
        if transparent or picture.mode not in (*_GREY, *_COLOUR):
            picture = picture.convert("RGBA" if transparent else "RGB")
        picture.info = {}
        picture.save(content, "TIFF")
    except Exception as error:  # Pillow raises many kinds for damaged files.
        text = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{name} is no readable image: {text}") from error
    return content.getvalue()


def _with_channels(images: np.ndarray, channels: int) -> np.ndarray:
    """Images `[N, H, W, channels]`: grey ones in colour, or coloured in grey."""
    if images.shape[-1] == channels:
        return images
    if channels == 3:
        return images.repeat(3, -1)
    if images.dtype == np.uint8:
        grey = images.astype(np.uint32) @ np.array(_LUMA, np.uint32)
        return ((grey + 2**15) >> 16).astype(np.uint8)[..., None]
    return images @ (np.array(_LUMA, np.float32)[:, None] / 2**16)
