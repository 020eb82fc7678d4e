"""Frames of video files, one at a time."""

import os
from collections.abc import Iterator

import numpy as np

from ocjax import _extras
from ocjax._checks import InputError


def frames(
    path: str | os.PathLike, *, every: int, most: int
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields the frames 0, `every`, 2 `every`, ... of a video, at most `most` of them.

    Memory holds one frame at a time, and nothing is decoded after the last one. A video
    that ends earlier gives fewer. Frames are as stored, which is upright unless the
    file says that a player should turn them.

    Args:
      path: video file, in any format that FFmpeg reads.
      every: distance of two frames, at least 1.
      most: largest number of frames, at least 1.

    Yields:
      Number of the frame, counted from 0, and its colours, `uint8 [H, W, 3]`.

    Raises:
      InputError: PyAV is not installed; or the file cannot be read, has no video, or
        has a damaged frame before the last one asked for.
      ValueError: `every` or `most` is below 1.
    """
    if every < 1 or most < 1:
        raise ValueError(f"`every` (={every}) and `most` (={most}) must be at least 1.")
    try:
        import av
        from av.error import FFmpegError
    except ImportError:
        raise InputError(
            f"Reading videos needs PyAV: {_extras.install('video')}"
        ) from None
    name, number = os.fspath(path), None
    try:
        with av.open(name) as container:
            if container.streams.video:
                # Threads would read ahead, and fail for frames that nobody asks for.
                container.streams.video[0].thread_type = "NONE"
                for number, frame in enumerate(container.decode(video=0)):
                    if number % every == 0:
                        yield number, frame.to_ndarray(format="rgb24")
                    if number == (most - 1) * every:
                        break
    except FFmpegError as error:
        raise InputError(f"{name} is no readable video: {error}") from error
    if number is None:
        raise InputError(f"{name} is no readable video: it has no frames.")
