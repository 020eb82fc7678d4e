"""Parts of formats that Pillow leaves open: many bits, losses, damage beside pixels."""

import io
import math
import zlib
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from PIL import Image, ImageFile

# Tags of TIFF.
_BITS, _COMPRESSION, _WHITE, _PLANES, _SIGN = 258, 259, 262, 284, 339
_OFFSETS, _COUNTS = 273, 279
_PNG = b"\x89PNG\r\n\x1a\n"
_ORIENTATION = 0x0112  # Tag of EXIF.
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
    """Grey values of a loaded picture; None where it has 8 bits or colours.

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
    """Decodes a picture that Pillow reads wrongly or very slowly; else returns None.

    Args:
      image: picture of which the header alone was read.
      file: binary file that holds it.

    Raises:
      ValueError: the picture cannot be read here either.
    """
    if image.format == "PPM":
        return _netpbm(image, file)
    if image.format == "TIFF":
        return _planes(image, file)
    return None


def _netpbm(image, file: IO[bytes]) -> "Image.Image | None":
    """Decodes a PGM or PPM of more than 8 bits and any largest value, else None."""
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
    """Decodes an uncompressed TIFF of 16 bits with a plane a colour, else None."""
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
    """Turn that makes a loaded picture upright; None also where EXIF is damaged."""
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
    except Exception:  # Damaged files make Pillow raise almost any.
        return None


def has_losses(image: "Image.Image", file: IO[bytes]) -> bool:
    """Whether pixels may differ from those that were saved."""
    if image.format == "WEBP":
        file.seek(0)
        return b"VP8L" not in file.read(1 << 16)
    compression = str(image.info.get("compression", ""))
    return image.format == "JPEG" or "jpeg" in compression or compression == "webp"


def bare_png(content: bytes) -> io.BytesIO | None:
    """PNG file without chunks beside the picture, as large texts; None for others."""
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
