"""Pictures of images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ocjax.evaluation.plots import style
from ocjax.evaluation.plots.plane import plane

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CELL = 0.78  # Width of an image in inches.


def image_grid(
    images: np.ndarray,
    anomalous: ArrayLike,
    scores: ArrayLike,
    steps: Mapping[str, Callable[[np.ndarray], np.ndarray]] | None = None,
    *,
    columns: int = 6,
) -> Figure:
    """Draws the least and the most anomalous test images of either class.

    The upper right (anomalies taken for normal) and the lower left (normal images
    taken for anomalies) are the detector's errors.

    Args:
      images: pixels `[N, H, W, C]`, uint8 or floats in [-1, 1]. Three channels are
        drawn in colour, others as the grey of their mean.
      anomalous: booleans `[N]`.
      scores: floats `[N]`, written under the images.
      steps: functions of the few images that are drawn, by name; they give images,
        floats in [-1, 1], that appear under that name below the originals. The last
        row is the residual of the last one. Empty for methods that do not reconstruct.
      columns: number of images of each kind.
    """
    anomalous, scores = np.asarray(anomalous, bool), np.asarray(scores)
    rising = np.argsort(scores, kind="stable")
    normals, anomalies = rising[~anomalous[rising]], rising[anomalous[rising]]
    quarters = [
        ("Normal, least anomalous", style.NORMAL, normals[:columns]),
        ("Anomalous, least anomalous", style.ANOMALOUS, anomalies[:columns]),
        ("Normal, most anomalous", style.NORMAL, normals[::-1][:columns]),
        ("Anomalous, most anomalous", style.ANOMALOUS, anomalies[::-1][:columns]),
    ]
    chosen = images[np.concatenate([index for *_, index in quarters])]
    rows, note = _rows(chosen, steps or {})
    cell = _cell_height(images)
    figure = style.new_figure(
        2 * (CELL * columns + 0.25) + 0.9, 2 * (cell * len(rows) + 0.62)
    )
    start = 0
    for axes, (title, color, index) in zip(
        figure.subplots(2, 2).flat, quarters, strict=True
    ):
        stop = start + len(index)
        cells = {name: pictures[start:stop] for name, pictures in rows.items()}
        _montage(axes, cells, scores[index], columns)
        _title(axes, title, color)
        start = stop
    for axes in figure.axes[1::2]:
        axes.set_yticks([])
    figure.supxlabel(note, fontsize=8, color=style.MUTED)
    return figure


def examples(
    images: np.ndarray,
    anomalous: ArrayLike,
    scores: ArrayLike,
    explain: Callable[[np.ndarray], np.ndarray],
    threshold: float | None = None,
    masks: np.ndarray | None = None,
    *,
    columns: int = 12,
) -> Figure:
    """Draws the most anomalous, borderline and least anomalous images, with heatmaps.

    Args:
      images: pixels `[N, H, W, C]`, uint8 or floats in [-1, 1].
      anomalous: booleans `[N]`; images are framed in their class's colour.
      scores: floats `[N]`, written under the images.
      explain: function that gives heatmaps `[M, H, W]` of the few images drawn.
      threshold: score to which borderline images are closest; the median score if None.
      masks: booleans `[N, H, W]`, True where an anomaly is, drawn where given.
      columns: number of images of each kind.
    """
    anomalous, scores = np.asarray(anomalous, bool), np.asarray(scores)
    rising = np.argsort(scores, kind="stable")
    line = np.median(scores) if threshold is None else threshold
    near = np.argsort(np.abs(scores - line), kind="stable")[:columns]
    blocks = {
        "Most anomalous": rising[::-1][:columns],
        "Borderline": near[np.argsort(-scores[near], kind="stable")],
        "Least anomalous": rising[:columns],
    }
    index = np.concatenate(list(blocks.values()))
    maps = np.asarray(explain(images[index]))
    # All heatmaps have one scale, so that equal errors look equal.
    pictures, plain = _rgb(_unit(images[index])), ["white"] * len(index)
    frames = _class_colors(anomalous[index])
    rows = {
        "image": _framed(pictures, frames),
        "heatmap": _framed(overlay(pictures, maps, maps.max()), plain),
    }
    if masks is not None:
        rows["mask"] = _framed(_rgb(masks[index][..., None].astype(float)), plain)
    cell = _cell_height(images)
    figure = style.new_figure(
        CELL * columns + 0.9, (cell * len(rows) + 0.55) * len(blocks)
    )
    start = 0
    for axes, (title, block) in zip(
        figure.subplots(len(blocks), 1), blocks.items(), strict=True
    ):
        stop = start + len(block)
        cells = {name: row[start:stop] for name, row in rows.items()}
        _montage(axes, cells, scores[block], columns)
        _title(axes, title, style.INK)
        start = stop
    return figure


def overlay(pictures: np.ndarray, maps: np.ndarray, largest: float) -> np.ndarray:
    """Draws heatmaps over pictures, which are greyed.

    Args:
      pictures: RGB `[N, H, W, 3]` in [0, 1].
      maps: heatmaps `[N, H, W]`, values at least 0.
      largest: value that is drawn in full colour.

    Returns:
      RGB `[N, H, W, 3]` in [0, 1].
    """
    from matplotlib import colormaps

    strength = np.clip(maps / (largest or 1.0), 0, 1)[..., None]
    grey = pictures.mean(-1, keepdims=True)
    color = colormaps["inferno"](0.25 + 0.7 * strength[..., 0])[..., :3]
    return (1 - 0.75 * strength) * grey + 0.75 * strength * color


def most_anomalous(
    images: np.ndarray,
    anomalous: ArrayLike,
    scores: ArrayLike,
    *,
    count: int = 24,
    columns: int = 12,
) -> Figure:
    """Draws the images of the highest scores first, framed in their class's colour.

    Args:
      images: pixels `[N, H, W, C]`, uint8 or floats in [-1, 1].
      anomalous: booleans `[N]`.
      scores: floats `[N]`, written under the images.
      count: number of images.
      columns: images in a line.
    """
    anomalous, scores = np.asarray(anomalous, bool), np.asarray(scores)
    index = np.argsort(-scores, kind="stable")[:count]
    colors = _class_colors(anomalous[index])
    anomalies = int(anomalous[index].sum())
    title = f"{anomalies} anomalous and {len(index) - anomalies} normal images"
    return _gallery(images, [(title, style.INK, index, colors)], scores, columns)


def nearest(
    images: np.ndarray,
    anomalous: ArrayLike,
    scores: ArrayLike,
    find: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]],
    normals: Callable[[np.ndarray], np.ndarray],
    *,
    columns: int = 12,
) -> Figure:
    """Draws the most anomalous images, their oddest parts, and the normal ones nearest.

    Args:
      images: pixels `[N, H, W, C]`, uint8 or floats in [-1, 1].
      anomalous: booleans `[N]`; images are framed in their class's colour.
      scores: floats `[N]`, written under the images.
      find: function of the few images that are drawn, `M` of them: a box of each, `[M,
        4]`, numbers of `k` normal images `[M, k]` and a box of each of them, `[M, k,
        4]`. Boxes are (left, top, right, bottom), shares of the sides in [0, 1].
      normals: function of numbers `[K]` that gives those normal images.
      columns: number of images.
    """
    anomalous, scores = np.asarray(anomalous, bool), np.asarray(scores)
    index = np.argsort(-scores, kind="stable")[:columns]
    chosen = images[index]
    odd, numbers, parts = find(chosen)
    frames, plain = _class_colors(anomalous[index]), ["white"] * len(index)
    rows = {"image": _framed(_rgb(_unit(chosen)), frames)}
    if np.ptp(odd, axis=0).any() or (odd[0] != [0, 0, 1, 1]).any():
        rows["oddest part"] = _framed(_rgb(_unit(_cropped(chosen, odd))), plain)
    for rank in range(numbers.shape[1]):
        near = _cropped(normals(numbers[:, rank]), parts[:, rank])
        name = "nearest normal" if not rank else f"{rank + 1}."
        rows[name] = _framed(_rgb(_unit(near)), plain)
    figure = style.new_figure(
        CELL * columns + 1.3, _cell_height(images) * len(rows) + 0.55
    )
    axes = figure.subplots()
    _montage(axes, rows, scores[index], columns)
    _title(axes, "Most anomalous", style.INK)
    return figure


def split(
    images: np.ndarray,
    members: Mapping[str, np.ndarray],
    grade: np.ndarray,
    name: str,
    *,
    count: int = 24,
    columns: int = 12,
) -> Figure:
    """Draws groups of training images: the most extreme of each, in order.

    Args:
      images: pixels `[N, H, W, C]`, uint8 or floats in [-1, 1].
      members: indices into `images` by group.
      grade: measure that the groups were made by, `[N]`, written under the images.
      name: name of the grade.
      count: number of images of each group.
      columns: images in a line.
    """
    blocks = []
    for (group, indices), color in zip(members.items(), style.GROUPS, strict=False):
        grades = grade[indices]
        highest = grades.mean() > grade.mean()
        order = np.argsort(-grades if highest else grades, kind="stable")
        index = indices[order[:count]]
        end = "highest" if highest else "lowest"
        title = f"{group} ({len(indices):,}), {end} {name} first"
        blocks.append((title, color, index, [color] * len(index)))
    return _gallery(images, blocks, grade, columns)


def manifold(
    latents: np.ndarray,
    decode: Callable[[np.ndarray], np.ndarray],
    *,
    size: int = 12,
) -> Figure:
    """Draws what is decoded over the plane in which normal images' latents vary most.

    Args:
      latents: latents of normal images, `[N, D]`. The plane is that of their two first
        principal components, or the latent space itself if it has two dimensions.
      decode: function of latents `[M, D]` that gives images `[M, H, W, C]`, floats in
        [-1, 1].
      size: images along each side; they are those of equal steps between the 2nd and
        the 98th percentile of the latents' coordinates in the plane.
    """
    normal_plane = plane(latents)
    low, high = np.quantile(normal_plane.project(latents), [0.02, 0.98], axis=0)
    across, up = np.linspace(low, high, size).T
    # The first image is the upper left: the first coordinate grows to the right.
    points = np.stack(np.meshgrid(across, up[::-1]), axis=-1).reshape(-1, 2)
    points = normal_plane.lift(points).astype(np.float32)
    pictures = _rgb(_unit(np.asarray(decode(points))))
    gap = max(1, pictures.shape[2] // 16)
    pictures = np.pad(
        pictures, ((0, 0), (0, gap), (0, gap), (0, 0)), constant_values=1.0
    )
    _, height, width, _ = pictures.shape
    canvas = pictures.reshape(size, size, height, width, 3).swapaxes(1, 2)
    figure = style.new_figure(5.4, 5.2 * height / width + 0.3)
    axes = style.tidy(figure.subplots(), "Decoded from a plane of latents")
    axes.imshow(canvas.reshape(size * height, size * width, 3))
    axes.set_frame_on(False)
    axes.tick_params(length=0)
    ticks = np.array([0, size // 2, size - 1])
    axes.set_xticks((ticks + 0.5) * width, [f"{across[t]:.3g}" for t in ticks])
    axes.set_yticks((ticks + 0.5) * height, [f"{up[::-1][t]:.3g}" for t in ticks])
    axes.set(xlabel=normal_plane.names[0], ylabel=normal_plane.names[1])
    return figure


def _rows(
    images: np.ndarray, steps: Mapping[str, Callable[[np.ndarray], np.ndarray]]
) -> tuple[dict[str, np.ndarray], str]:
    """Rows of a grid as RGB `[M, H, W, 3]` in [0, 1], and a note that explains them."""
    originals = _unit(images)
    if not steps:
        return {"original": _rgb(originals)}, "Score under each image."
    from matplotlib import colormaps

    outputs = {name: _unit(np.asarray(step(images))) for name, step in steps.items()}
    last = list(outputs)[-1]
    residuals = np.abs(originals - outputs[last]).mean(axis=-1)
    largest = residuals.max() or 1.0
    rows = {
        "original": _rgb(originals),
        **{name: _rgb(pictures) for name, pictures in outputs.items()},
        "residual": colormaps["magma"](residuals / largest)[..., :3],
    }
    return rows, (
        f"Score under each column. Residual: absolute difference of original and "
        f"{last}, from none (black) to {largest:.0%} of the range (light)."
    )


def _gallery(
    images: np.ndarray,
    blocks: Sequence[tuple[str, str, np.ndarray, Sequence[str]]],
    values: np.ndarray,
    columns: int,
) -> Figure:
    """Draws blocks of framed images in lines, each image with its value.

    Args:
      images: pixels `[N, H, W, C]`.
      blocks: title, its colour, indices of images, colours of their frames.
      values: numbers `[N]`, written under the images.
      columns: images in a line.
    """
    lines = []
    for title, color, index, frames in blocks:
        for start in range(0, len(index), columns):
            part = slice(start, start + columns)
            lines.append((title if not start else "", color, index[part], frames[part]))
    figure = style.new_figure(
        CELL * columns + 0.25,
        (_cell_height(images) + 0.3) * len(lines) + 0.25 * len(blocks),
    )
    grid = figure.subplots(len(lines), 1, squeeze=False).flat
    for axes, (title, color, index, frames) in zip(grid, lines, strict=True):
        pictures = _framed(_rgb(_unit(images[index])), frames)
        _montage(axes, {"": pictures}, values[index], columns)
        _title(axes, title, color)
        for label, frame in zip(axes.get_xticklabels(), frames, strict=True):
            label.set_color(frame)
    return figure


def _cropped(images: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """What is in a box of each image, as large as the image; pixels stay squares."""
    height, width = images.shape[1:3]
    rows, columns = np.arange(height) + 0.5, np.arange(width) + 0.5
    cropped = np.empty_like(images)
    for whole, (left, top, right, bottom), part in zip(
        images, boxes, cropped, strict=True
    ):
        down = (top * height + (bottom - top) * rows).astype(int)
        across = (left * width + (right - left) * columns).astype(int)
        part[:] = whole[down[:, None], across]
    return cropped


def _class_colors(anomalous: np.ndarray) -> list[str]:
    return [style.ANOMALOUS if anomaly else style.NORMAL for anomaly in anomalous]


def _framed(pictures: np.ndarray, colors: Sequence[str]) -> np.ndarray:
    """Puts RGB `[M, H, W, 3]` into frames of a sixteenth of their width."""
    from matplotlib.colors import to_rgb

    thick = max(1, pictures.shape[2] // 16)
    sides = (0, 0), (thick, thick), (thick, thick), (0, 0)
    framed = np.pad(pictures, sides)
    inside = np.pad(np.ones(pictures.shape, bool), sides)
    frames = np.array([to_rgb(color) for color in colors])[:, None, None]
    return np.where(inside, framed, frames)


def _montage(
    axes: Axes, rows: Mapping[str, np.ndarray], scores: np.ndarray, columns: int
) -> None:
    """Draws rows of pictures as one image, scores below and names at the left."""
    _, height, width, _ = next(iter(rows.values())).shape
    gap = max(1, width // 16)
    canvas = np.ones((len(rows) * (height + gap), columns * (width + gap), 3))
    for i, pictures in enumerate(rows.values()):
        for j, picture in enumerate(pictures):
            top, left = i * (height + gap), j * (width + gap)
            canvas[top : top + height, left : left + width] = picture
    axes.imshow(canvas)
    axes.set_frame_on(False)
    axes.tick_params(length=0, labelsize=8, labelcolor=style.MUTED)
    centres = np.arange(len(scores)) * (width + gap) + width / 2
    axes.set_xticks(centres, [f"{score:.3g}" for score in scores])
    axes.set_yticks(np.arange(len(rows)) * (height + gap) + height / 2, list(rows))


def _title(axes: Axes, title: str, color: str) -> None:
    axes.set_title(title, loc="left", fontsize=9, color=color, fontweight="bold")


def _cell_height(images: np.ndarray) -> float:
    """Height of an image in inches."""
    height, width = images.shape[1:3]
    return CELL * height / width


def _unit(images: np.ndarray) -> np.ndarray:
    """Maps images to [0, 1], from uint8 or from floats in [-1, 1]."""
    if images.dtype == np.uint8:
        return images / 255
    return np.clip((images.astype(np.float64) + 1) / 2, 0, 1)


def _rgb(images: np.ndarray) -> np.ndarray:
    if images.shape[-1] == 3:
        return images
    return np.repeat(images.mean(axis=-1, keepdims=True), 3, axis=-1)
