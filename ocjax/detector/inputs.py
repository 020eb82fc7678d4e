"""Images of one shape, and rows of a table, brought to the form that networks see."""

import math
import warnings
from typing import Any, NamedTuple

import numpy as np

from ocjax._checks import InputError
from ocjax.data import images as images_lib
from ocjax.detector import pictures as pictures_lib

TRAINING = "training"  # Value of `value_range`.
_DARK = 32 / 255  # Largest share of their range that nearly black images reach.
_PIECE = 256  # Number of images of an array that are converted together.
Range = tuple[float, float]


class Form(NamedTuple):
    """Form in which images come, and in which networks see them."""

    size: int  # Side of images that networks see, in pixels.
    fit: str  # How images become square, one of `ocjax.data.fitting.FITS`.
    image_shape: tuple[int, ...] | None  # Shape of images that come as rows.
    value_range: Range | str | None  # Parameter of the detector.
    range: Range | None  # Black and white, or the extremes of TRAINING; None for uint8.

    def of_array(self, X: np.ndarray, room: int) -> np.ndarray:
        """Images of one shape, or rows, resized to squares.

        Args:
          X: images `[N, H, W, C]`, `[N, H, W]` or `[N, features]`.
          room: length of the result, N or more; its images from N on are black.

        Returns:
          Images `[room, size, size, C]`, uint8, or float32 in [-1, 1].

        Raises:
          ValueError: rows have another length, or values another range.
        """
        X = _rows_as_images(X, self.image_shape) if X.ndim == 2 else X
        X = X[..., None] if X.ndim == 3 else X
        images = None
        for start in range(0, len(X), _PIECE):
            piece = self.ranged(X[start : start + _PIECE], "X")
            piece = images_lib.resize(piece, self.size, self.fit)
            if images is None:
                images = np.zeros((room, *piece.shape[1:]), piece.dtype)
            images[start : start + len(piece)] = piece
        assert images is not None  # `X` is not empty.
        return images

    def of_pictures(self, pictures: list, channels: int, room: int) -> np.ndarray:
        """Pictures of a list, converted as `of_array` converts images.

        Raises:
          ValueError: some cannot be read, which the message names, or have no range.
        """
        if self._has_trained_range() and extremes(pictures) is None:
            raise InputError(
                "Expected arrays of numbers as in `fit`, whose range `value_range` "
                f"(={TRAINING!r}) is, got files or uint8 pictures."
            )
        shape = self.size, self.size, channels
        return pictures_lib.read(pictures, shape, self.fit, room, self.ranged)

    def ranged(self, X: np.ndarray, name: str) -> np.ndarray:
        """Images `[N, H, W, C]` as uint8, or float32 in [-1, 1].

        Args:
          X: images of any numbers.
          name: name of the images in messages.

        Raises:
          ValueError: the range is not stated, or values are not in it.
        """
        if X.dtype == np.uint8 and self._uint8_are_pixels():
            return images_lib.check(X, name)
        if self.value_range is None:
            raise ValueError(
                f"Expected uint8 images, got {X.dtype}: state their `value_range`, as "
                f"in (0.0, 1.0), or {TRAINING!r} for that of the training data."
            )
        low, high = self.range or (0.0, 255.0)
        X = X if np.issubdtype(X.dtype, np.floating) else X.astype(np.float64)
        least, most = _ends(X, name)
        if self._has_trained_range():
            middle, half = (low + high) / 2, (high - low) or 1.0
            X = np.clip((X.astype(np.float64) - middle) / half, -1, 1)
            low, high = -1.0, 1.0
        elif least < low or most > high:
            raise ValueError(
                f"Expected `{name}` in [{low:g}, {high:g}], as `value_range` says, got "
                f"values from {least:g} to {most:g}: state the range of yours."
            )
        return images_lib.check(X, name, value_range=(low, high))

    def _has_trained_range(self) -> bool:
        """Whether the range is that of the numbers that trained."""
        return self.value_range == TRAINING and self.range is not None

    def _uint8_are_pixels(self) -> bool:
        """Whether uint8 images are pixels from 0 to 255, and not of the stated range.

        Raises:
          ValueError: numbers trained, with which uint8 cannot be compared.
        """
        if self._has_trained_range():
            raise ValueError(
                "Expected numbers as in `fit`, whose range `value_range` "
                f"(={TRAINING!r}) is, got uint8 images."
            )
        # A range that ends at 1 is of floats.
        return self.range is None or self.range[1] <= 1 or self.range == (0, 255)


def range_of(X: Any, value_range: Range | str | None) -> Range | None:
    """`Form.range` of training images: an array, or a list of pictures."""
    if value_range is None:
        return None
    if value_range == TRAINING:
        return extremes(X)
    low, high = value_range
    return float(low), float(high)


def extremes(X: Any) -> Range | None:
    """Least and largest number of an array or a list of pictures.

    They are None where a picture is a file, Pillow's or uint8.

    Raises:
      ValueError: a number is not finite.
    """
    items = X if isinstance(X, list) else [X]
    if any(pictures_lib.is_path(item) or pictures_lib.is_pil(item) for item in items):
        return None
    items = [np.asarray(item) for item in items]
    if any(item.dtype == np.uint8 for item in items):
        return None
    least, most = zip(*(_ends(item, "X") for item in items), strict=True)
    return min(least), max(most)


def _ends(X: np.ndarray, name: str) -> Range:
    """Least and largest value; raises `ValueError` unless all are finite."""
    least, most = float(X.min()), float(X.max())
    if not (math.isfinite(least) and math.isfinite(most)):
        raise ValueError(f"Expected `{name}` to be finite, got NaN or infinity.")
    return least, most


def check_training_shape(shape: tuple[int, ...]) -> None:
    """Raises `InputError` where training images are one picture, or one row."""
    if len(shape) == 1 or (len(shape) == 3 and shape[-1] in (1, 3)):
        subject = "row. Reshape your data" if len(shape) == 1 else "picture"
        raise InputError(
            "Expected images of shape [N, H, W] or [N, H, W, C], or rows [N, features],"
            f" got {list(shape)}, one {subject}: pass several along a first axis."
        )


def check_shape(shape: tuple[int, ...], fitted: tuple[Any, ...]) -> None:
    """Raises `ValueError` unless arrays have the shape of those that trained.

    Args:
      shape: shape of all images.
      fitted: shape of one training image, or of one row.
    """
    # scikit-learn checks the length of rows.
    if shape[1:] == fitted or (len(fitted) == 1 and len(shape) == 2):
        return
    subject = "images" if len(fitted) > 1 else "rows"
    raise ValueError(
        f"Expected {subject} of shape [N, {', '.join(map(str, fitted))}], as in `fit`, "
        f"got {list(shape)}{_remedy(shape, fitted)}."
    )


def _remedy(shape: tuple[int, ...], fitted: tuple[Any, ...]) -> str:
    if len(shape) == 1 or shape == fitted:
        subject = "one row. Reshape your data" if len(fitted) == 1 else "one image"
        return f", {subject}: pass X[None]"
    if shape == fitted[:2] and fitted[2:] == (1,):
        return ", one image: pass X[None, ..., None]"
    if shape[1:] == fitted[:2] and fitted[2:] == (1,):
        return ": pass X[..., None]"
    if shape == (*fitted, 1):
        return ", one image: pass X[None, ..., 0]"
    if shape[1:] == (*fitted, 1):
        return ": pass X[..., 0]"
    if len(fitted) == 3 and shape[1:] == (fitted[2], *fitted[:2]):
        return ", channels first: pass X.transpose(0, 2, 3, 1)"
    if len(shape) == 2 and shape[1] == math.prod(fitted):
        return f": pass X.reshape(-1, {', '.join(map(str, fitted))})"
    if len(fitted) == 1 and math.prod(shape[1:]) == fitted[0]:
        return ": pass X.reshape(len(X), -1)"
    if len(fitted) > 1 and len(shape) == len(fitted) + 1:
        return f": resize them to {fitted[0]}x{fitted[1]}"
    return ""


def _rows_as_images(X: np.ndarray, image_shape: tuple[int, ...] | None) -> np.ndarray:
    """Rows as images `[N, H, W]` or `[N, H, W, C]`; small squares without a shape.

    Raises:
      ValueError: rows are not of the shape's length.
    """
    count, width = X.shape
    if image_shape is None:
        side = math.ceil(math.sqrt(width))
        padded = np.full((count, side * side), X.dtype.type(0))
        padded[:, :width] = X
        return padded.reshape(count, side, side)
    shape = tuple(image_shape)
    if math.prod(shape) != width:
        raise ValueError(
            f"Expected rows of {math.prod(shape)} pixels, as `image_shape` "
            f"(={shape}) says, got {width}."
        )
    return X.reshape(count, *shape)


def warn_of_dark(X: Any, images: np.ndarray, form: Form) -> None:
    """Warns where training images reach a small part of their range.

    Args:
      X: images as they came.
      images: the same images as networks see them.
      form: form of both.
    """
    if form.value_range == TRAINING and form.range is not None:
        return
    is_uint8 = images.dtype == np.uint8
    low, high = (0, 255) if is_uint8 or form.range is None else form.range
    share = float(images.max()) / 255 if is_uint8 else (float(images.max()) + 1) / 2
    if not 0 < share <= _DARK:  # `fit` warns that images are alike where it is 0.
        return
    # Resized images may not reach the largest value.
    largest = low + share * (high - low) if isinstance(X, list) else float(X.max())
    numbers = "arrays of floats" if largest <= 1 else "arrays"
    warnings.warn(
        f"The training images are nearly black: their largest value is {largest:g}, and"
        f" {high:g} is white. If {largest:g} is, pass {numbers}, and state "
        f"value_range=({low:g}, {largest:g}).",
        stacklevel=4,
    )


def alike(images: np.ndarray) -> bool:
    """Whether no pixel differs between images, floats up to rounding."""
    spread = images.max(0).astype(np.float32) - images.min(0)
    return bool(spread.max() <= 1e-6)
