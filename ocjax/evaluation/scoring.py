"""Scores of any number of images."""

from typing import TYPE_CHECKING

import numpy as np

from ocjax.data.images import check_ready
from ocjax.data.mapping import map_images

if TYPE_CHECKING:
    from ocjax.methods.base import Method, State


def score(
    method: "Method",
    state: "State",
    images: np.ndarray,
    *,
    chunk: int | None = None,
    piece: int = 1024,
) -> np.ndarray:
    """Scores images with a method's state, larger where more anomalous.

    Args:
      method: method whose `score(state, images)` is applied.
      state: trained state of `method`.
      images: pixels `[N, H, W, C]` for any `N`; uint8, or floats in [-1, 1].
      chunk: images in one application of `score`, as for `map_images`.
      piece: images sent to a device together, as for `map_images`.

    Returns:
      Scores, float32 `[N]`.

    Raises:
      ValueError: the shape is not that of training, or a float is not in [-1, 1].
      TypeError: `images` are neither `uint8` nor floating point.
    """
    if len(images):
        images = check_ready(images)
    scores = map_images(
        method.score, images, arguments=(state,), chunk=chunk, piece=piece
    )
    return np.asarray(scores, np.float32)
