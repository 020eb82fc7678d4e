"""Scores of any number of images, in memory or in files."""

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ocjax.data import files
from ocjax.data.images import check_ready
from ocjax.data.mapping import map_images

if TYPE_CHECKING:
    from ocjax.methods.base import Method, State


def score(
    method: "Method",
    state: "State",
    images: np.ndarray,
    *,
    chunk: int = 32,
    piece: int = 1024,
) -> np.ndarray:
    """Scores images with a method's state, larger where more anomalous.

    Args:
      method: whose `score(state, images)` is applied.
      state: a trained state of `method`.
      images: `[N, H, W, C]` for any `N`; uint8, or floats in [-1, 1].
      chunk: as in `map_images`.
      piece: as in `map_images`.

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


def score_files(
    method: "Method",
    state: "State",
    paths: Sequence[str | os.PathLike],
    *,
    shape: tuple[int, int, int],
    piece: int = 1024,
) -> Iterator[tuple[str, float]]:
    """Scores image files in their order, of which memory holds two pieces at a time.

    Args:
      method: as in `score`.
      state: as in `score`.
      paths: of images in any format that Pillow reads.
      shape: (S, S, C) of the images in training, to which these are brought.
      piece: files that are scored together, while the next ones are read.

    Yields:
      (path, score), for each file.

    Raises:
      InputError: a file is no image; scores of earlier pieces have been yielded.
    """
    for names, images in files.pieces(paths, shape, piece):
        scores = score(method, state, images)
        yield from zip(names, scores.tolist(), strict=True)
