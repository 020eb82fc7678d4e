"""Pictures of a run as matplotlib figures; the caller saves them.

Blue is normal and orange anomalous in all of them, two colours that colour-blind
readers tell apart. Figures are made without pyplot, so nothing global changes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NORMAL = "#0072b2"
ANOMALOUS = "#d55e00"
DOTS_PER_INCH = 192  # Twice what CSS calls an inch: sharp on today's screens.
_INK, _MUTED, _FAINT = "#24292f", "#6e7781", "#d0d7de"


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    return buffer.getvalue()


def training_curves(rows: Sequence[Mapping], terms: Sequence[str]) -> Figure:
    """One small panel per term: as logged (thin) and its running mean (thick).

    Args:
      rows: logged steps, each with "step" and some of the terms; a row without a
        term is skipped in that term's panel.
      terms: names of what to draw, in order. A positive term that spans more than
        two decades gets a logarithmic axis.

    Raises:
      ValueError: if no row has one of the terms.
    """
    columns = min(len(terms), 3)
    lines = -(-len(terms) // columns)
    figure = _figure(9.6, 1.9 * lines + 0.3)
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes, term in zip(grid, terms, strict=False):
        logged = [(row["step"], row[term]) for row in rows if term in row]
        if not logged:
            raise ValueError(f"Expected a row with {term!r}, got none in {len(rows)}.")
        steps, values = np.array(logged, np.float64).T
        window = max(1, len(values) // 20)
        _tidy(axes, term)
        axes.plot(steps, values, color=_MUTED, alpha=0.35, linewidth=0.6)
        axes.plot(steps, _running_mean(values, window), color=_INK, linewidth=1.5)
        if values.min() > 0 and values.max() > 100 * values.min():
            axes.set_yscale("log")
    for axes in grid[len(terms) :]:
        axes.set_axis_off()
    figure.supxlabel("step", fontsize=9, color=_MUTED)
    return figure


def score_histogram(
    normal_scores: ArrayLike,
    anomalous_scores: ArrayLike,
    threshold: float | None = None,
) -> Figure:
    """Both classes' scores, each as shares of its class, and the threshold.

    The bins span all scores but 0.1 % at either end, which are counted in the
    outermost bins: a few extreme scores would flatten everything else.
    """
    # Bins between neighbouring float32 numbers need the finer grid of float64.
    normals = np.asarray(normal_scores, np.float64)
    anomalies = np.asarray(anomalous_scores, np.float64)
    low, high = np.quantile(np.concatenate([normals, anomalies]), [0.001, 0.999])
    edges = np.histogram_bin_edges([low, high], bins=50)
    figure = _figure(5.4, 3.6)
    axes = _tidy(figure.subplots(), "Scores")
    for name, color, scores in [
        ("normal", NORMAL, normals),
        ("anomalous", ANOMALOUS, anomalies),
    ]:
        counts, _ = np.histogram(np.clip(scores, edges[0], edges[-1]), edges)
        label = f"{name} ({len(scores):,})"
        share = counts / len(scores)
        axes.stairs(share, edges, fill=True, color=color, alpha=0.35, label=label)
        axes.stairs(share, edges, color=color, linewidth=1.2)
    if threshold is not None:
        label = f"threshold {threshold:.4g}"
        axes.axvline(threshold, color=_INK, linewidth=1, dashes=(4, 2), label=label)
    axes.set(xlabel="score, larger is more anomalous", ylabel="share of the class")
    axes.legend(frameon=False, fontsize=8, labelcolor=_INK)
    return figure


def roc(
    anomalous: ArrayLike,
    scores: ArrayLike,
    interval: tuple[float, float] | None = None,
) -> Figure:
    """The ROC curve with its area, and the area's 95 % interval if given."""
    from sklearn.metrics import auc, roc_curve

    fpr, tpr, _ = roc_curve(np.asarray(anomalous, bool), np.asarray(scores))
    title = f"AUROC {auc(fpr, tpr):.3f}"
    if interval is not None:
        title += " ({:.3f} to {:.3f})".format(*interval)
    figure = _figure(3.9, 3.6)
    axes = _tidy(figure.subplots(), title)
    axes.plot([0, 1], [0, 1], color=_FAINT, linewidth=1)
    axes.plot(fpr, tpr, color=_INK, linewidth=1.6, clip_on=False, zorder=3)
    axes.set(xlabel="false-positive rate", ylabel="true-positive rate")
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    return figure


def image_grid(
    images: np.ndarray,
    anomalous: ArrayLike,
    scores: ArrayLike,
    reconstruct: Callable[[np.ndarray], np.ndarray] | None = None,
    *,
    columns: int = 6,
) -> Figure:
    """The least and the most anomalous test images of either class.

    The upper right (anomalies taken for normal) and the lower left (normal images
    taken for anomalies) are the detector's errors.

    Args:
      images: `[N, H, W, C]`, uint8 or floats in [-1, 1]. Three channels are shown in
        colour, others as the grey of their mean.
      anomalous: booleans `[N]`.
      scores: floats `[N]`, written under the images.
      reconstruct: gives the reconstructions, floats in [-1, 1], of the few images
        that are shown; with it, reconstructions and residuals appear below the
        originals. None for a method without reconstructions.
      columns: images of each kind.
    """
    anomalous, scores = np.asarray(anomalous, bool), np.asarray(scores)
    rising = np.argsort(scores, kind="stable")
    normals, anomalies = rising[~anomalous[rising]], rising[anomalous[rising]]
    groups = [
        ("Normal, least anomalous", NORMAL, normals[:columns]),
        ("Anomalous, least anomalous", ANOMALOUS, anomalies[:columns]),
        ("Normal, most anomalous", NORMAL, normals[::-1][:columns]),
        ("Anomalous, most anomalous", ANOMALOUS, anomalies[::-1][:columns]),
    ]
    shown = images[np.concatenate([index for *_, index in groups])]
    rows, note = _rows(shown, reconstruct)
    height, width = images.shape[1:3]
    cell = 0.78 * height / width
    figure = _figure(2 * (0.78 * columns + 0.25) + 0.9, 2 * (cell * len(rows) + 0.62))
    start = 0
    for axes, (title, color, index) in zip(
        figure.subplots(2, 2).flat, groups, strict=True
    ):
        stop = start + len(index)
        cells = {name: pictures[start:stop] for name, pictures in rows.items()}
        _montage(axes, cells, scores[index], columns)
        axes.set_title(title, loc="left", fontsize=9, color=color, fontweight="bold")
        start = stop
    for axes in figure.axes[1::2]:
        axes.set_yticks([])
    figure.supxlabel(note, fontsize=8, color=_MUTED)
    return figure


def _rows(
    images: np.ndarray, reconstruct: Callable[[np.ndarray], np.ndarray] | None
) -> tuple[dict[str, np.ndarray], str]:
    """The rows of a grid as RGB `[M, H, W, 3]` in [0, 1], and what to say of them."""
    originals = _unit(images)
    if reconstruct is None:
        return {"original": _rgb(originals)}, "Score under each image."
    from matplotlib import colormaps

    reconstructions = _unit(np.asarray(reconstruct(images)))
    residuals = np.abs(originals - reconstructions).mean(axis=-1)
    largest = residuals.max() or 1.0
    rows = {
        "original": _rgb(originals),
        "reconstruction": _rgb(reconstructions),
        "residual": colormaps["magma"](residuals / largest)[..., :3],
    }
    return rows, (
        "Score under each column. Residual: absolute difference, from none (black) "
        f"to {largest:.0%} of the range (light)."
    )


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
    axes.tick_params(length=0, labelsize=8, labelcolor=_MUTED)
    centres = np.arange(len(scores)) * (width + gap) + width / 2
    axes.set_xticks(centres, [f"{score:.3g}" for score in scores])
    axes.set_yticks(np.arange(len(rows)) * (height + gap) + height / 2, list(rows))


def _unit(images: np.ndarray) -> np.ndarray:
    """Images in [0, 1], from uint8 or from floats in [-1, 1]."""
    if images.dtype == np.uint8:
        return images / 255
    return np.clip((images.astype(np.float64) + 1) / 2, 0, 1)


def _rgb(images: np.ndarray) -> np.ndarray:
    if images.shape[-1] == 3:
        return images
    return np.repeat(images.mean(axis=-1, keepdims=True), 3, axis=-1)


def _running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Centred mean of `window` values, of fewer where the ends cut it off."""
    ones = np.ones(window)
    total = np.convolve(values, ones, mode="same")
    return total / np.convolve(np.ones_like(values), ones, mode="same")


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="white")
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.08, wspace=0.03)
    return figure


def _tidy(axes: Axes, title: str) -> Axes:
    """Leaves of the frame what the eye needs to read a value."""
    axes.set_title(title, loc="left", fontsize=10, color=_INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_FAINT)
    axes.tick_params(color=_FAINT, labelcolor=_MUTED, labelsize=8)
    axes.xaxis.label.set(color=_MUTED, fontsize=9)
    axes.yaxis.label.set(color=_MUTED, fontsize=9)
    return axes
