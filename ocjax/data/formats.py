"""What Pillow leaves open of formats: many bits, losses, damage beside the pixels."""

import io
import math
import zlib
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from PIL import Image, ImageFile

# TIFF's tags.
_BITS, _COMPRESSION, _WHITE, _PLANES, _SIGN = 258, 259, 262, 284, 339
_OFFSETS, _COUNTS = 273, 279
_PNG = b"\x89PNG\r\n\x1a\n"
_ORIENTATION = 0x0112  # EXIF's tag.
# Chunks that make the picture; all others are beside it.
_CHUNKS = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"eXIf")


class Deep(NamedTuple):
    """Grey values of more than 8 bits."""

    values: np.ndarray  # Integers [H, W], 0 for black.
    bits: int

    def upper(self) -> np.ndarray:
        """The upper 8 bits, `uint8 [H, W]`."""
        return (self.values >> (self.bits - 8)).astype(np.uint8)


def deep(image: "Image.Image") -> Deep | None:
    """The grey values of a loaded picture, None where it has 8 bits or colours.

    Raises:
      ValueError: which value is white is not known.
    """
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return None
    tags = getattr(image, "tag_v2", {})
    values, bits = np.array(image), 16
    if image.format == "TIFF":
        bits = tags.get(_BITS, (1,))[0]
    if image.mode == "F" or bits > 16:
        raise ValueError("32 bits a pixel, of an unknown range")
    if tags.get(_SIGN, (1,))[0] == 2:
        values = values + 2**15
    if isinstance(clear := image.info.get("transparency"), int):
        values[values == clear] = 0
    return Deep(2**bits - 1 - values if tags.get(_WHITE) == 0 else values, bits)


def is_grey(image) -> bool:
    """Whether Pillow decodes a picture as coloured, though the file has grey values."""
    return image.format == "PNG" and "LA;16B" in [tile[3] for tile in image.tile]


def special(image: "ImageFile.ImageFile", file: IO[bytes]) -> "Image.Image | None":
    """A picture that Pillow would read wrongly or very slowly; None of all others.

    Args:
      image: of which the header alone was read.
      file: that it is in.

    Raises:
      ValueError: it cannot be read here either.
    """
    if image.format == "PPM":
        return _netpbm(image, file)
    if image.format == "TIFF":
        return _planes(image, file)
    return None


def _netpbm(image, file: IO[bytes]) -> "Image.Image | None":
    """A PGM or PPM of more than 8 bits and any largest value, else None."""
    from PIL import Image

    codec, _, offset, arguments = image.tile[0]
    if codec != "ppm" or arguments[1] < 256:
        return None
    most = arguments[1]
    shape = (image.height, image.width, len(image.getbands()))
    file.seek(offset)
    values = _sixteen(file.read(2 * math.prod(shape)), ">", shape).astype(np.uint32)
    scaled = np.minimum(values * 2**16 // (most + 1), 2**16 - 1).astype(np.uint16)
    if shape[2] == 1:
        return Image.fromarray(scaled[..., 0])
    return Image.fromarray((scaled >> 8).astype(np.uint8))


def _planes(image, file: IO[bytes]) -> "Image.Image | None":
    """A TIFF of 16 bits whose colours follow each other, uncompressed, else None."""
    from PIL import Image

    tags = image.tag_v2
    bits, plain = tags.get(_BITS, (1,)), tags.get(_COMPRESSION, 1) == 1
    order = {b"II": "<", b"MM": ">"}[tags.prefix]
    if not plain and tags.get(_SIGN, (1,))[0] == 2 and order == ">" and max(bits) > 8:
        raise ValueError("signed, compressed and big-endian; save it uncompressed")
    if not plain or tags.get(_PLANES) != 2 or max(bits) <= 8 or len(bits) == 1:
        return None
    if set(bits) != {16} or image.mode not in ("RGB", "RGBA") or _OFFSETS not in tags:
        raise ValueError("many bits in separate planes; save it compressed")
    content = b""
    for offset, count in zip(tags[_OFFSETS], tags[_COUNTS], strict=True):
        file.seek(offset)
        content += file.read(count)
    planes = _sixteen(content, order, (len(bits), image.height, image.width))
    upper = (planes >> 8).astype(np.uint8).transpose(1, 2, 0)
    return Image.fromarray(upper[..., : len(image.getbands())].copy())


def _sixteen(content: bytes, order: str, shape: tuple[int, ...]) -> np.ndarray:
    if len(content) < 2 * math.prod(shape):
        raise ValueError("image file is truncated")
    return np.frombuffer(content, f"{order}u2", math.prod(shape)).reshape(shape)


def orientation(image: "Image.Image") -> "Image.Transpose | None":
    """How a loaded picture is to be turned; None where EXIF is damaged, too."""
    from PIL import Image

    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    try:
        return turns.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # Of damaged files Pillow raises almost any.
        return None


def has_losses(image: "Image.Image", file: IO[bytes]) -> bool:
    """Whether pixels may differ from those that were saved."""
    if image.format == "WEBP":
        file.seek(0)
        return b"VP8L" not in file.read(1 << 16)
    compression = str(image.info.get("compression", ""))
    return image.format == "JPEG" or "jpeg" in compression or compression == "webp"


def bare_png(content: bytes) -> io.BytesIO | None:
    """A PNG file without what is beside the picture, as large texts; None of others."""
    if not content.startswith(_PNG):
        return None
    return io.BytesIO(_PNG + b"".join(_chunks(content)))


def _chunks(content: bytes) -> Iterator[bytes]:
    start = len(_PNG)
    while start < len(content):
        end = start + 12 + int.from_bytes(content[start : start + 4], "big")
        kind, chunk = content[start + 4 : start + 8], content[start:end]
        whole = zlib.crc32(chunk[4:-4]).to_bytes(4, "big") == chunk[-4:]
        if kind in _CHUNKS and (whole or kind != b"eXIf"):
            yield chunk
        start = end
