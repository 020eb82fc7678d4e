"""Image files, read as they are needed."""

import contextlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TYPE_CHECKING

import numpy as np

from ocjax._checks import InputError
from ocjax.data import formats
from ocjax.data.tree import SUFFIXES as SUFFIXES
from ocjax.data.tree import below as below

if TYPE_CHECKING:
    from PIL import Image, ImageFile

PIXELS = 100_000_000  # Of the largest picture that is decoded.
THREADS = 4
_HALF = 128  # Of 255.
_NAMED = 5  # Items in a message.
# Pillow's names. It knows more formats, of which some start other programs.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "F")  # Pillow's names of pixel kinds.


def open_rgb(path: str | os.PathLike) -> np.ndarray:
    """An image file in colour and as large as it is, `uint8 [H, W, 3]`.

    Raises:
      InputError: the file cannot be read as an image.
    """
    with _readable(path), open(path, "rb") as file:
        return np.asarray(_picture(file, "RGB"))


def read(path: str | os.PathLike, shape: tuple[int, int, int]) -> np.ndarray:
    """An image file as `uint8 [H, W, C]`: grey for C = 1, colour for 3, resized.

    Turned as its camera noted, if that can be read. Of 16 bits a pixel the upper 8 are
    kept, of an animation the first picture; what is transparent lies on black.

    Raises:
      InputError: the file cannot be read as an image, or has more than `PIXELS` pixels.
    """
    with _readable(path), open(path, "rb") as file:
        return _resized(file, shape)


def decode(
    content: bytes | IO[bytes], name: str, shape: tuple[int, int, int]
) -> np.ndarray:
    """An image file that is not on disk, such as an upload, as `read` gives it.

    Args:
      content: of the file, or a binary file, read from where it is to its end.
      name: what messages call it.
      shape: (H, W, C) of the image.

    Returns:
      `uint8 [H, W, C]`.

    Raises:
      InputError: as `read`.
    """
    with _readable(name):
        whole = content if isinstance(content, bytes) else content.read()
        return _resized(io.BytesIO(whole), shape)


def read_mask(path: str | os.PathLike, size: int) -> np.ndarray:
    """An image file as `bool [size, size]`, resized to nearest: what is not black.

    Of a file that was saved with losses, as JPEG, it is what is at least half as bright
    as white: such files blur edges. What is marked never vanishes: where no pixel that
    is left is marked, those next to marked ones are.

    Raises:
      InputError: as `read`, or losses have left nothing of the marks.
    """
    from PIL import Image

    with _readable(path), open(path, "rb") as file:
        image = _loaded(file)
        marked, turn = _marked(image, file), formats.orientation(image)
        mask = Image.fromarray(marked)
        mask = mask if turn is None else mask.transpose(turn)
        resized = mask.resize((size, size), Image.Resampling.NEAREST)
        return _kept(np.asarray(resized), np.asarray(mask))


def is_grey(path: str | os.PathLike) -> bool:
    """Whether an image file has no colours, as its header says.

    Raises:
      InputError: the file cannot be read as an image.
    """
    with _readable(path), open(path, "rb") as file:
        image = _header(file)
        return image.mode in _GREY or formats.is_grey(image)


def _resized(file: IO[bytes], shape: tuple[int, int, int]) -> np.ndarray:
    from PIL import Image

    height, width, channels = shape
    image = _picture(file, "L" if channels == 1 else "RGB")
    image = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(shape)


def _picture(file: IO[bytes], mode: str) -> "Image.Image":
    """The whole picture, in Pillow's mode "L" or "RGB"."""
    from PIL import Image

    image = _loaded(file)
    turn, deep = formats.orientation(image), formats.deep(image)
    if deep is not None:
        image = Image.fromarray(deep.upper())  # Pillow would clip them at 255.
    image = _on_black(image).convert(mode)
    return image if turn is None else image.transpose(turn)


def _marked(image: "Image.Image", file: IO[bytes]) -> np.ndarray:
    """What a mask marks, `bool [H, W]`."""
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


def _kept(resized: np.ndarray, marked: np.ndarray) -> np.ndarray:
    """The resized mask, or if it lost all of the marks, the pixels that hold them."""
    if resized.any() or not marked.any():
        return resized
    kept = np.zeros_like(resized)
    rows, columns = np.nonzero(marked)
    height, width = marked.shape
    size = len(kept)
    kept[rows * size // height, columns * size // width] = True
    return kept


def _on_black(image: "Image.Image") -> "Image.Image":
    from PIL import Image

    if not image.has_transparency_data:
        return image
    black = Image.new("RGBA", image.size, (0, 0, 0, 255))
    return Image.alpha_composite(black, image.convert("RGBA"))


def _loaded(file: IO[bytes]) -> "Image.Image":
    """A picture whose pixels are decoded, not yet turned."""
    return _without_extras(file, _load)


def _load(file: IO[bytes]) -> "Image.Image":
    image = _parsed(file)
    special = formats.special(image, file)
    if special is not None:
        return special
    image.load()
    return image


def _header(file: IO[bytes]) -> "Image.Image":
    """A picture of which only the header is decoded yet, and its size accepted."""
    return _without_extras(file, _parsed)


def _without_extras(file: IO[bytes], read: Callable) -> "Image.Image":
    """What `read` gives of the file or, if a PNG fails, of its picture alone."""
    start = file.tell()
    try:
        return read(file)
    except (ValueError, SyntaxError):
        file.seek(start)
        bare = formats.bare_png(file.read())
        if bare is None:
            raise
        return read(bare)


def _parsed(file: IO[bytes]) -> "ImageFile.ImageFile":
    """A picture of which only the header is decoded yet, and its size accepted.

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
    # Of hostile files Pillow raises almost any: struct.error, EOFError, MemoryError...
    except Exception as error:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise InputError(
            f"{os.fspath(name)} is no readable image: {' '.join(said.split())}"
        ) from error


def every(function: Callable, items: Iterable) -> list:
    """`function(item)` of all items.

    Raises:
      InputError: it was raised for some; the message counts and names them.
    """
    found = list(each(function, items))
    if errors := [result for result in found if isinstance(result, InputError)]:
        raise InputError(f"{unreadable(errors, len(found))}.")
    return found


def unreadable(errors: Sequence[InputError], count: int) -> str:
    """Counts and names the files, of `count`, that the errors are about."""
    return f"{len(errors)} of {count} files cannot be read: {listed(errors)}"


def listed(items: Sequence[object]) -> str:
    """The first few items, and how many more there are."""
    more = [f"and {len(items) - _NAMED} more"] if len(items) > _NAMED else []
    return "; ".join([*map(str, items[:_NAMED]), *more])


def each(function: Callable, items: Iterable) -> Iterator:
    """`function(item)`, or the `InputError` that it raised, in the order of `items`."""
    return threaded(_caught(function), items)


def _caught(function: Callable) -> Callable:
    """The function, but it returns an `InputError` that it would raise."""

    def caught(item):
        try:
            return function(item)
        except InputError as error:
            # Another one: this one's frames hold the picture, in a cycle.
            return InputError(str(error))

    return caught


def threaded(function: Callable, items: Iterable) -> Iterator:
    """`function(item)`, in the order of `items`; the first error ends it."""
    with ThreadPoolExecutor(THREADS) as pool:
        yield from pool.map(function, items)


def pieces(
    paths: Sequence[str | os.PathLike],
    shape: tuple[int, int, int],
    size: int,
    threads: int = THREADS,
) -> Iterator[tuple[list[str], np.ndarray, dict[str, InputError]]]:
    """Reads files, the next piece while the last one is in use.

    Args:
      paths: of the files.
      shape: of the images, as in `read`.
      size: files in a piece.
      threads: that read at the same time.

    Yields:
      Names of up to `size` files; of those that can be read the images, in their order,
      `uint8 [n, H, W, C]`; and of the others name -> why not.
    """
    names = [os.fspath(path) for path in paths]
    parts = [names[start : start + size] for start in range(0, len(names), size)]
    one = _caught(lambda name: read(name, shape))
    with ThreadPoolExecutor(threads) as pool:
        begin = lambda part: [pool.submit(one, name) for name in part]
        coming = begin(parts[0]) if parts else []
        for i, part in enumerate(parts):
            found = [future.result() for future in coming]
            coming = begin(parts[i + 1]) if i + 1 < len(parts) else []
            images = [image for image in found if not isinstance(image, InputError)]
            errors = zip(part, found, strict=True)
            yield (
                part,
                np.stack(images) if images else np.empty((0, *shape), np.uint8),
                {
                    name: error
                    for name, error in errors
                    if isinstance(error, InputError)
                },
            )
