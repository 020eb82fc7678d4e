"""Image files, and pictures read from them."""

import contextlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np

from ocjax._checks import InputError
from ocjax.data import fitting, formats
from ocjax.data.tree import SUFFIXES as SUFFIXES
from ocjax.data.tree import below as below

if TYPE_CHECKING:
    from PIL import Image, ImageFile

PIXELS = 100_000_000  # Most pixels of a picture that is decoded.
THREADS = 4
_HALF = 128  # Half the brightness of white, 255.
_NAMED = 5  # Items that a message names.
# Formats, by Pillow's names. It knows more, of which some start other programs.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "F")  # Pillow's names of pixel kinds.


def open_rgb(path: str | os.PathLike) -> np.ndarray:
    """Reads an image file in colour and in its own size, `uint8 [H, W, 3]`.

    Raises:
      InputError: the file cannot be read as an image.
    """
    with _readable(path), open(path, "rb") as file:
        return np.asarray(_picture(file, "RGB"))


class Piece(NamedTuple):
    """Some files, read."""

    names: list[str]
    images: np.ndarray  # Of those that can be read, in their order, `[n, H, W, C]`.
    errors: dict[str, InputError]  # Of the others, by name.
    places: list[fitting.Place]  # Of the pictures in the images, `[n]`.


def read(
    path: str | os.PathLike,
    shape: tuple[int, int, int],
    fit: str = fitting.STRETCH,
) -> np.ndarray:
    """Reads an image file as `uint8 [H, W, C]`: grey for C = 1, colour for 3, resized.

    It is turned as its camera noted, if that can be read. The upper 8 of 16 bits a
    pixel are kept, and the first picture of an animation; transparency lies on black.
    `fit`, one of `fitting.FITS`, says how another aspect becomes that of the shape.

    Raises:
      InputError: the file cannot be read as an image, or has more than `PIXELS` pixels.
    """
    return read_placed(path, shape, fit)[0]


def read_placed(
    path: str | os.PathLike, shape: tuple[int, int, int], fit: str
) -> tuple[np.ndarray, fitting.Place]:
    """Reads as `read` does, and tells where the picture lies in the image."""
    with _readable(path), open(path, "rb") as file:
        return _resized(file, shape, fit)


def decode(
    content: bytes | IO[bytes],
    name: str,
    shape: tuple[int, int, int],
    fit: str = fitting.STRETCH,
) -> np.ndarray:
    """Decodes an image file that is not on disk, such as an upload, as `read` does.

    Args:
      content: bytes of the file, or a binary file, read from its position to its end.
      name: word for the file in messages.
      shape: sides and channels (H, W, C) of the image.
      fit: one of `fitting.FITS`.

    Returns:
      Pixels `uint8 [H, W, C]`.

    Raises:
      InputError: the file cannot be read as an image, or has more than `PIXELS` pixels.
    """
    return decode_placed(content, name, shape, fit)[0]


def decode_placed(
    content: bytes | IO[bytes], name: str, shape: tuple[int, int, int], fit: str
) -> tuple[np.ndarray, fitting.Place]:
    """Decodes as `decode` does, and tells where the picture lies in the image."""
    with _readable(name):
        whole = content if isinstance(content, bytes) else content.read()
        return _resized(io.BytesIO(whole), shape, fit)


def read_mask(
    path: str | os.PathLike, size: int, fit: str = fitting.STRETCH
) -> np.ndarray:
    """Reads a mask as `bool [size, size]`, True where it is not black, resized.

    It is fitted as its picture, whose aspect it must have; padding is not marked.

    In a file that was saved with losses, as JPEG, a pixel is marked if it is at least
    half as bright as white: such files blur edges. Marks that are seen never vanish:
    where resizing leaves no marked pixel, those that hold one are marked.

    Raises:
      InputError: `read` would refuse the file, or losses have left no mark.
    """
    from PIL import Image

    with _readable(path), open(path, "rb") as file:
        image = _loaded(file)
        marked, turn = _marked(image, file), formats.orientation(image)
        mask = Image.fromarray(marked)
        mask = mask if turn is None else mask.transpose(turn)
        found = fitting.place((mask.height, mask.width), (size, size), fit)
        seen, (height, width) = mask.crop(found.seen), found.lies.sides
        resized = seen.resize((width, height), Image.Resampling.NEAREST)
        whole = np.zeros((size, size), bool)
        whole[found.lies.slices] = _with_marks(np.asarray(resized), np.asarray(seen))
        return whole


def is_grey(path: str | os.PathLike) -> bool:
    """Whether an image file has no colours, as its header says.

    Raises:
      InputError: the file cannot be read as an image.
    """
    with _readable(path), open(path, "rb") as file:
        image = _header(file)
        return image.mode in _GREY or formats.is_grey(image)


def _resized(
    file: IO[bytes], shape: tuple[int, int, int], fit: str
) -> tuple[np.ndarray, fitting.Place]:
    from PIL import Image

    *sides, channels = shape
    image = _picture(file, "L" if channels == 1 else "RGB")
    sides = sides[0], sides[1]
    found = fitting.place((image.height, image.width), sides, fit)
    if fit == fitting.CUT:  # A filter would reach beyond a box that is not cut out.
        image = image.crop(found.seen)
    height, width = found.lies.sides
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    inner = np.asarray(image).reshape(height, width, channels)
    return fitting.padded(inner, sides, found.lies), found


def _picture(file: IO[bytes], mode: str) -> "Image.Image":
    """Decodes a whole picture, in Pillow's mode "L" or "RGB"."""
    from PIL import Image

    image = _loaded(file)
    turn, deep = formats.orientation(image), formats.deep(image)
    if deep is not None:
        image = Image.fromarray(deep.upper())  # Pillow would clip them at 255.
    image = _on_black(image).convert(mode)
    return image if turn is None else image.transpose(turn)


def _marked(image: "Image.Image", file: IO[bytes]) -> np.ndarray:
    """Pixels that a mask marks, `bool [H, W]`."""
    deep = formats.deep(image)
    if deep is not None:
        return deep.values > 0
    losses = formats.has_losses(image, file)
    image = _on_black(image)
    if image.mode not in _GREY:
        image = image.convert("RGB")
    brightness = np.asarray(image).reshape(*image.size[::-1], -1).max(-1)
    most = int(brightness.max(initial=0))
    if losses and 0 < most < _HALF:
        raise ValueError(
            f"a mask saved with losses, whose brightest pixel is {most} of 255; save "
            "it as PNG"
        )
    return brightness >= _HALF if losses else brightness > 0


def _with_marks(resized: np.ndarray, marked: np.ndarray) -> np.ndarray:
    """The resized mask, or if it lost all of the marks, the pixels that hold them."""
    if resized.any() or not marked.any():
        return resized
    mask = np.zeros_like(resized)
    rows, columns = np.nonzero(marked)
    (high, wide), (height, width) = mask.shape, marked.shape
    mask[rows * high // height, columns * wide // width] = True
    return mask


def _on_black(image: "Image.Image") -> "Image.Image":
    from PIL import Image

    if not image.has_transparency_data:
        return image
    black = Image.new("RGBA", image.size, (0, 0, 0, 255))
    return Image.alpha_composite(black, image.convert("RGBA"))


def _loaded(file: IO[bytes]) -> "Image.Image":
    """Decodes the pixels of a picture, which is not turned yet."""
    return _without_extras(file, _load)


def _load(file: IO[bytes]) -> "Image.Image":
    image = _parse_header(file)
    special = formats.special(image, file)
    if special is not None:
        return special
    image.load()
    return image


def _header(file: IO[bytes]) -> "Image.Image":
    """Decodes a picture's header alone, and checks its size."""
    return _without_extras(file, _parse_header)


def _without_extras(file: IO[bytes], read: Callable) -> "Image.Image":
    """Returns `read` of the file or, if a PNG fails, of its picture chunks alone."""
    start = file.tell()
    try:
        return read(file)
    except (ValueError, SyntaxError):
        file.seek(start)
        bare = formats.bare_png(file.read())
        if bare is None:
            raise
        return read(bare)


def _parse_header(file: IO[bytes]) -> "ImageFile.ImageFile":
    """Decodes a picture's header alone, and checks its size.

    `PIL.Image.open` compares the size with a limit for the whole process, from half of
    which on it warns.
    """
    from PIL import Image

    Image.init()
    file.seek(0)
    start = file.read(16)
    for name in _FORMATS:
        factory, accept = Image.OPEN[name]
        if accept is None or accept(start) is True:
            file.seek(0)
            image = factory(file, "")
            width, height = image.size
            if width * height > PIXELS:
                raise ValueError(
                    f"it has {width:,} x {height:,} pixels, more than the {PIXELS:,} "
                    "that may be decoded"
                )
            return image
    if not start:
        raise ValueError("it is empty")
    raise ValueError(f"it begins as no file of the formats {', '.join(_FORMATS)} does")


@contextlib.contextmanager
def _readable(name: str | os.PathLike) -> Iterator[None]:
    """Turns whatever reading an image raises into an `InputError`."""
    try:
        yield
    # Hostile files make Pillow raise almost any: struct.error, EOFError, MemoryError...
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(
            f"{os.fspath(name)} is no readable image: {' '.join(reason.split())}"
        ) from error


def every(function: Callable, items: Iterable) -> list:
    """Returns `function(item)` of all items.

    Raises:
      InputError: the function raised it for some; the message counts and names them.
    """
    results = list(each(function, items))
    if errors := [result for result in results if isinstance(result, InputError)]:
        raise InputError(f"{unreadable(errors, len(results))}.")
    return results


def unreadable(errors: Sequence[InputError], count: int) -> str:
    """Counts and names the files, of `count`, that the errors are about."""
    return f"{len(errors)} of {count} files cannot be read: {listed(errors)}"


def listed(items: Sequence[object]) -> str:
    """Names the first few items, and counts the others."""
    more = [f"and {len(items) - _NAMED} more"] if len(items) > _NAMED else []
    return "; ".join([*map(str, items[:_NAMED]), *more])


def each(function: Callable, items: Iterable) -> Iterator:
    """Yields `function(item)`, or the `InputError` that it raised, in order."""
    return threaded(_return_errors(function), items)


def _return_errors(function: Callable) -> Callable:
    """Returns the function with each `InputError` returned instead of raised."""

    def function_or_error(item):
        try:
            return function(item)
        except InputError as error:
            # The caught error is not returned: its frames hold the picture, in a cycle.
            return InputError(str(error))

    return function_or_error


def threaded(function: Callable, items: Iterable) -> Iterator:
    """Yields `function(item)`, in the order of `items`; the first error ends it."""
    with ThreadPoolExecutor(THREADS) as pool:
        yield from pool.map(function, items)


def pieces(
    paths: Sequence[str | os.PathLike],
    shape: tuple[int, int, int],
    size: int,
    fit: str = fitting.STRETCH,
    threads: int = THREADS,
) -> Iterator[Piece]:
    """Reads files, the next piece while the last one is in use.

    Args:
      paths: files to read.
      shape: sides and channels (H, W, C) of the images, as in `read`.
      size: files in a piece.
      fit: one of `fitting.FITS`.
      threads: number of threads that read at the same time.

    Yields:
      Up to `size` files, their images uint8.
    """
    names = [os.fspath(path) for path in paths]
    parts = [names[start : start + size] for start in range(0, len(names), size)]
    read_one = _return_errors(lambda name: read_placed(name, shape, fit))
    with ThreadPoolExecutor(threads) as pool:
        begin = lambda part: [pool.submit(read_one, name) for name in part]
        coming = begin(parts[0]) if parts else []
        for i, part in enumerate(parts):
            results = [future.result() for future in coming]
            coming = begin(parts[i + 1]) if i + 1 < len(parts) else []
            pairs = [x for x in results if not isinstance(x, InputError)]
            errors = {
                name: result
                for name, result in zip(part, results, strict=True)
                if isinstance(result, InputError)
            }
            images = np.empty((len(pairs), *shape), np.uint8)
            for whole, (image, _) in zip(images, pairs, strict=True):
                whole[:] = image
            yield Piece(part, images, errors, [place for _, place in pairs])
