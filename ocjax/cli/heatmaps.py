"""Pictures with heatmaps over them, as large as the pictures."""

import collections
import functools
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ocjax import _files
from ocjax._checks import InputError
from ocjax.cli import progress

if TYPE_CHECKING:
    from ocjax.data.fitting import Place
    from ocjax.inference.scorer import Scorer

PIECE = 64  # Number of pictures whose heatmaps are computed together.
STRIP = 1_000_000  # Number of pixels that are drawn at once.
LEVELS = 2048  # Number of values of a heatmap that are told apart.


def targets(paths: Sequence[str], folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Files of heatmaps by source, in folders like those that the sources lie in.

    `001.jpg` gets `001.png`. Where pictures of one folder would share a name, as
    `001.jpg` and `001.tif`, they get `001.jpg.png` and `001.tif.png`.

    Args:
      paths: paths of the sources.
      folder: folder that the heatmaps are written to.
    """
    absolute = {path: os.path.abspath(path) for path in paths}
    sources = dict.fromkeys(absolute.values())
    common = os.path.commonpath([os.path.dirname(source) for source in sources])
    long: set[str] = set()

    def target(source: str) -> pathlib.Path:
        path = folder / os.path.relpath(source, common)
        return path.with_name(f"{path.name if source in long else path.stem}.png")

    # A long name may be the short one of another picture, which is long then too.
    while True:
        count = collections.Counter(str(target(s)).lower() for s in sources)
        shared = {s for s in sources if count[str(target(s)).lower()] > 1} - long
        if not shared:
            return {path: target(source) for path, source in absolute.items()}
        long |= shared


def check(
    files: dict[str, pathlib.Path],
    folder: pathlib.Path,
    force: bool,
    out: pathlib.Path | None = None,
) -> None:
    """Checks that heatmaps can be written.

    Args:
      files: files of heatmaps by source, from `targets`.
      folder: folder that they are in.
      force: whether they may replace files other than sources.
      out: file that will be written before them.

    Raises:
      InputError: they cannot, or would replace files.
    """
    if out is not None and out.absolute() in {
        path.absolute() for path in (folder, *files.values())
    }:
        raise InputError(f"--out and --heatmaps both write {out}: name another file.")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--heatmaps={folder} is a file: name a folder.")
    sources = {os.path.realpath(source) for source in files}
    for file in files.values():
        if os.path.realpath(file) in sources:
            raise InputError(
                f"--heatmaps={folder}: {file} is a picture to score; name another "
                "folder."
            )
        if os.path.lexists(file) and not force:
            raise InputError(
                f"{file} exists: name another folder by --heatmaps, or add --force."
            )
    _files.check_writable(folder, f"--heatmaps={folder}")


def draw(scorer: "Scorer", files: dict[str, pathlib.Path]) -> None:
    """Writes the heatmap of each source that can be read, all on one scale."""
    paths = list(files)
    with progress.shown("drawing", 2 * len(paths)) as done:
        largest = 0.0
        for _, heatmap, place in _judged(scorer, paths):
            done.done += 1
            largest = max(largest, float(heatmap[place.lies.slices].max()))
        for path, heatmap, _ in _judged(scorer, paths):
            done.done += 1
            _write(files[path], path, heatmap, largest or 1.0, scorer.card.fit)


def _judged(
    scorer: "Scorer", paths: Sequence[str]
) -> Iterator[tuple[str, np.ndarray, "Place"]]:
    """Source, heatmap `[S, S]` and place of each that can be read."""
    from ocjax.data import files

    shape, fit = scorer.card.shape, scorer.card.fit
    for names, images, errors, places in files.pieces(paths, shape, PIECE, fit):
        heatmaps = scorer.judge(images, explain=True).heatmaps
        assert heatmaps is not None
        read = [name for name in names if name not in errors]
        yield from zip(read, heatmaps, places, strict=True)


def _write(
    file: pathlib.Path, source: str, heatmap: np.ndarray, largest: float, fit: str
) -> None:
    from PIL import Image

    from ocjax.data import files

    pixels = drawn(files.open_rgb(source), heatmap, largest, fit)
    with _files.replacing(file) as temporary:
        # Tighter compression gains little, and takes several times as long.
        Image.fromarray(pixels).save(temporary, format="PNG", compress_level=1)


def drawn(
    picture: np.ndarray, heatmap: np.ndarray, largest: float, fit: str
) -> np.ndarray:
    """Draws a heatmap over a picture, as large as it is.

    Args:
      picture: pixels, `uint8 [H, W, 3]`.
      heatmap: values, `float32 [S, S]`, of the image that the picture became.
      largest: value that is drawn in full colour.
      fit: how it became that, one of `ocjax.data.fitting.FITS`.

    Returns:
      Pixels, `uint8 [H, W, 3]`. Beside them and the picture little memory is taken.
    """
    from ocjax.data import fitting

    factors, colours = _colours()
    height, width, _ = picture.shape
    rows, result = max(1, STRIP // width), np.empty((height, width, 3), np.uint8)
    for top in range(0, height, rows):
        end = min(top + rows, height)
        strip = fitting.unfitted(heatmap, (height, width), fit, (top, end))
        scale = np.float32((LEVELS - 1) / largest)
        level = np.clip(np.nan_to_num(strip * scale), 0, LEVELS - 1).astype(np.int16)
        grey = picture[top:end].mean(-1, dtype=np.float32)
        result[top:end] = (grey * factors[level])[..., None] + colours[level]
    return result


@functools.cache
def _colours() -> tuple[np.ndarray, np.ndarray]:
    """Factor on a grey pixel, `[LEVELS]`, and colour added to it, `[LEVELS, 3]`.

    They are those of `overlay` at each level of a heatmap, for pixels of 0 to 255; the
    colours have a 1/2 to round by.
    """
    from ocjax.evaluation.plots.images import overlay

    levels = np.linspace(0, 1, LEVELS)[None, None]
    black = overlay(np.zeros((1, 1, LEVELS, 3)), levels, 1.0)[0, 0]
    white = overlay(np.ones((1, 1, LEVELS, 3)), levels, 1.0)[0, 0]
    factors = (white - black)[:, 0].astype(np.float32)
    return factors, (255 * black + 0.5).astype(np.float32)
