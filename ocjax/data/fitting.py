"""How a picture that is not square becomes square, and its heatmap goes back to it.

* "stretch": height and width are scaled each on its own.
* "pad": the whole picture lies in the middle, its aspect kept; what is left of the
  square is filled with the mean of the picture's border.
* "cut": the square in the middle of the picture, its aspect kept; the rest is not seen.
"""

from typing import NamedTuple

import numpy as np

FITS = STRETCH, PAD, CUT = "stretch", "pad", "cut"


class Box(NamedTuple):
    """A rectangle of pixels; `right` and `bottom` are the first beyond it."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """Its rows and its columns."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


class Place(NamedTuple):
    """Which part of a picture is seen, and where it lies in the image that is made."""

    seen: Box  # In the picture.
    lies: Box  # In the image.


def place(picture: tuple[int, int], image: tuple[int, int], fit: str) -> Place:
    """Where a picture comes to lie.

    Args:
      picture: height and width of the picture, each at least 1.
      image: height and width of the image that is made of it.
      fit: one of `FITS`.

    Returns:
      A `Place`. Where an odd number of pixels is left over, the right or the bottom
      has one more of them.
    """
    (height, width), (rows, columns) = picture, image
    seen, lies = Box(0, 0, width, height), Box(0, 0, columns, rows)
    if fit == PAD:
        scale = min(rows / height, columns / width)
        lies = _centred(height * scale, width * scale, image)
    elif fit == CUT:
        scale = min(height / rows, width / columns)
        seen = _centred(rows * scale, columns * scale, picture)
    return Place(seen, lies)


def padded(inner: np.ndarray, image: tuple[int, int], lies: Box) -> np.ndarray:
    """An image with the mean of the inner part's border around that part.

    Args:
      inner: pixels `[h, w, C]`, as large as `lies`.
      image: height and width (H, W) of the image.
      lies: where the inner part is in it.

    Returns:
      `[H, W, C]` of the same dtype; `inner` itself where it is as large.
    """
    if inner.shape[:2] == image:
        return inner
    border = np.ones(inner.shape[:2], bool)
    border[1:-1, 1:-1] = False
    mean = inner[border].mean(0, dtype=np.float64)
    if inner.dtype == np.uint8:
        mean = np.rint(mean)
    whole = np.empty((*image, inner.shape[-1]), inner.dtype)
    whole[:] = mean
    whole[lies.slices] = inner
    return whole


def unfitted(
    heatmap: np.ndarray,
    picture: tuple[int, int],
    fit: str,
    rows: tuple[int, int] | None = None,
) -> np.ndarray:
    """A heatmap as large as the picture that it is of.

    The part that lies on padding is left out; what was cut away was not looked at, and
    gets 0. The rest is resized bilinearly.

    Args:
      heatmap: `float32 [S, S]`, of the image that was made of the picture.
      picture: height and width (H, W) of the picture.
      fit: one of `FITS`, by which it was made.
      rows: first row of the picture to return, and the one after the last; None for
        all.

    Returns:
      `float32 [H, W]`, or the rows asked for.
    """
    from PIL import Image

    found = place(picture, (heatmap.shape[0], heatmap.shape[1]), fit)
    top, bottom = rows or (0, picture[0])
    result = np.zeros((bottom - top, picture[1]), np.float32)
    first, last = max(top, found.seen.top), min(bottom, found.seen.bottom)
    if first >= last:
        return result
    inner = np.ascontiguousarray(heatmap[found.lies.slices])
    (high, wide), (height, width) = inner.shape, found.seen.sides
    ends = [(row - found.seen.top) * high / height for row in (first, last)]
    strip = Image.fromarray(inner).resize(
        (width, last - first), Image.Resampling.BILINEAR, (0, ends[0], wide, ends[1])
    )
    columns = slice(found.seen.left, found.seen.right)
    result[first - top : last - top, columns] = np.asarray(strip)
    return result


def _centred(height: float, width: float, around: tuple[int, int]) -> Box:
    """The box of rounded sides, at least 1, in the middle of another of these sides."""
    high, wide = max(1, round(height)), max(1, round(width))
    top, left = (around[0] - high) // 2, (around[1] - wide) // 2
    return Box(left, top, left + wide, top + high)
