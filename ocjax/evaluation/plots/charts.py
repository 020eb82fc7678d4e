"""Pictures of numbers: losses, scores, latents and other measures of images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ocjax.evaluation import metrics
from ocjax.evaluation.plots import style
from ocjax.evaluation.plots.plane import plane

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Series = Mapping[str, tuple[str, ArrayLike]]  # Label -> colour, values.

GRADIENT = "gradient_"  # Prefix of the terms that share a panel.


def training_curves(rows: Sequence[Mapping], terms: Sequence[str]) -> Figure:
    """Draws a small panel per term: as logged (thin) and its running mean (thick).

    All panels span the same steps, which shows the stage of each term.

    Args:
      rows: logged steps, each with "step" and some of the terms; a row without a
        term is skipped in that term's panel.
      terms: names of terms to draw, in order. A positive term that spans more than
        two decades gets a logarithmic axis. Terms that begin with "gradient_", norms
        that want to be compared, are drawn last, in one panel.

    Raises:
      ValueError: no row has one of the terms.
    """
    from matplotlib import colormaps

    gradients = [term for term in terms if term.startswith(GRADIENT)]
    others = [term for term in terms if term not in gradients]
    count = len(others) + 1 if gradients else len(others)
    figure, grid = style.panels(count, 1.9)
    for axes, term in zip(grid, others, strict=False):
        steps, values = _logged(rows, term)
        style.tidy(axes, term)
        marker = "o" if len(values) == 1 else None  # A line of one point is invisible.
        axes.plot(steps, values, color=style.MUTED, alpha=0.35, linewidth=0.6)
        smooth = _running_mean(values, max(1, len(values) // 20))
        axes.plot(steps, smooth, color=style.INK, linewidth=1.5, marker=marker, ms=3)
        if values.min() > 0 and values.max() > 100 * values.min():
            axes.set_yscale("log")
    if gradients:
        axes = style.tidy(grid[-1], "norms of gradients")
        colors = colormaps["viridis"](np.linspace(0, 0.85, len(gradients)))
        for term, color in zip(gradients, colors, strict=True):
            label, logged = term.removeprefix(GRADIENT), _logged(rows, term)
            axes.plot(*logged, color=color, linewidth=1.2, marker=".", label=label)
        axes.set_yscale("log", nonpositive="clip")
        axes.legend(  # The place below the panel hides no line.
            loc="upper center",
            bbox_to_anchor=(0.5, -0.14),
            ncols=3,
            columnspacing=1,
            handlelength=1.2,
            frameon=False,
            fontsize=7,
            labelcolor=style.INK,
        )
    for axes in grid[: -min(count, 3)]:  # The lowest panels have the steps for all.
        axes.tick_params(labelbottom=False)
    last = max(row["step"] for row in rows)
    for axes in grid:
        axes.set_xlim(-0.03 * last, 1.03 * last or 1)
    figure.supxlabel("step", fontsize=9, color=style.MUTED)
    return figure


def _logged(rows: Sequence[Mapping], term: str) -> np.ndarray:
    """Steps and values of a term, float64 `[2, N]`."""
    logged = [(row["step"], row[term]) for row in rows if term in row]
    if not logged:
        raise ValueError(f"Expected a row with {term!r}, got none in {len(rows)}.")
    return np.array(logged, np.float64).T


def score_histogram(
    normal_scores: ArrayLike,
    anomalous_scores: ArrayLike,
    threshold: float | None = None,
) -> Figure:
    """Draws both classes' scores, each as shares of its class, and the threshold.

    The bins span all scores but 0.1 % at either end, which are counted in the
    outermost bins: a few extreme scores would flatten everything else.
    """
    figure = style.new_figure(5.4, 3.6)
    axes = style.tidy(figure.subplots(), "Scores")
    _histogram(axes, _by_class(normal_scores, anomalous_scores))
    if threshold is not None:
        label = f"threshold {threshold:.4g}"
        axes.axvline(
            threshold, color=style.INK, linewidth=1, dashes=(4, 2), label=label
        )
    axes.set(xlabel="score, larger is more anomalous", ylabel="share of the class")
    axes.legend(frameon=False, fontsize=8, labelcolor=style.INK)
    return figure


def comparison(
    names: Sequence[str],
    synthetic: Sequence[float],
    aurocs: Sequence[float],
    intervals: Sequence[tuple[float, float]],
) -> Figure:
    """Draws two AUROCs of each of several methods, the first one on top.

    Args:
      names: names of the methods.
      synthetic: AUROCs by synthetic anomalies; NaN where there is none.
      aurocs: AUROCs by the anomalies of the test part; NaN where there is none.
      intervals: 95 % intervals of these, (low, high).
    """
    figure = style.new_figure(6.4, 0.32 * len(names) + 1.3)
    axes = style.tidy(figure.subplots(), "How well methods tell anomalies apart")
    lines = np.arange(len(names))
    low, high = np.asarray(intervals, float).T
    axes.hlines(lines, low, high, color=style.ANOMALOUS, linewidth=1.2, alpha=0.6)
    axes.plot(
        aurocs, lines, "o", color=style.ANOMALOUS, markersize=5, label="test anomalies"
    )
    axes.plot(
        synthetic, lines, "D", color=style.NORMAL, markersize=4.5, label="synthetic"
    )
    axes.axvline(0.5, color=style.FAINT, linewidth=1)
    axes.set_yticks(lines, names)
    axes.set(xlabel="AUROC", ylim=(len(names) - 0.5, -0.5))
    axes.legend(
        frameon=False, fontsize=8, labelcolor=style.INK, loc="upper left",
        bbox_to_anchor=(1, 1),
    )  # fmt: skip
    return figure


def roc(
    anomalous: ArrayLike,
    scores: ArrayLike,
    interval: tuple[float, float] | None = None,
) -> Figure:
    """Draws the ROC curve with its area, and the area's 95 % interval if given."""
    fpr, tpr = metrics.roc_curve(anomalous, scores)
    title = f"AUROC {metrics.auroc(anomalous, scores):.3f}"
    if interval is not None:
        title += " ({:.3f} to {:.3f})".format(*interval)
    figure = style.new_figure(3.9, 3.6)
    axes = style.tidy(figure.subplots(), title)
    axes.plot([0, 1], [0, 1], color=style.FAINT, linewidth=1)
    axes.plot(fpr, tpr, color=style.INK, linewidth=1.6, clip_on=False, zorder=3)
    axes.set(xlabel="false-positive rate", ylabel="true-positive rate")
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    return figure


def robustness(
    radii: ArrayLike, aurocs: ArrayLike, intervals: ArrayLike, norm: str
) -> Figure:
    """Draws AUROC against the radius of the ball within which a detector is attacked.

    Args:
      radii: radii for pixels in [0, 1], `[R]`, rising; 0 is no attack.
      aurocs: AUROC of each radius, `[R]`.
      intervals: lower and upper ends of the AUROCs' intervals, `[R, 2]`.
      norm: norm of the ball, "linf", whose radii are drawn in steps of 8 bits, or "l2".
    """
    figure = style.new_figure(5.0, 3.6)
    axes = style.tidy(figure.subplots(), "AUROC under attack on the detector")
    factor, unit = (255, "/ 255") if norm == "linf" else (1, "")
    steps = np.asarray(radii) * factor
    low, high = np.asarray(intervals).T
    axes.axhline(0.5, color=style.FAINT, linewidth=1)
    axes.fill_between(steps, low, high, color=style.NORMAL, alpha=0.2, linewidth=0)
    axes.plot(steps, aurocs, "o-", color=style.NORMAL, markersize=4)
    axes.set(xlabel=f"radius, {norm} {unit}".rstrip(), ylabel="AUROC", ylim=(0, 1))
    return figure


def latents(spaces: Mapping[str, np.ndarray], anomalous: ArrayLike) -> Figure:
    """Draws latents of either class in one plane, a panel for each kind of them.

    The plane is that of the two first principal components of the normal latents of
    the first kind, and its scale is the same along both: unlike in t-SNE, distances in
    it are distances of the latents, as far as the plane holds them.

    Args:
      spaces: latents `[N, D]` of the same images by kind, all in one space. Images
        are drawn in their order: a random one hides neither class.
      anomalous: booleans `[N]`, not all true.
    """
    anomalous = np.asarray(anomalous, bool)
    normal_plane = plane(next(iter(spaces.values()))[~anomalous])
    points = {name: normal_plane.project(values) for name, values in spaces.items()}
    low, high = (
        extreme([extreme(p, axis=0) for p in points.values()], axis=0)
        for extreme in (np.min, np.max)
    )
    middle, reach = (low + high) / 2, 0.53 * max((high - low).max(), 1e-6)
    figure, grid = style.panels(len(points), 4.4)
    for axes, (name, at) in zip(grid, points.items(), strict=True):
        style.tidy(axes, name)
        colors = np.where(anomalous, style.ANOMALOUS, style.NORMAL)
        axes.scatter(*at.T, s=9, c=colors, alpha=0.6, linewidths=0)
        axes.set(xlabel=normal_plane.names[0], aspect="equal")
        axes.set_xlim(middle[0] - reach, middle[0] + reach)
        axes.set_ylim(middle[1] - reach, middle[1] + reach)
    grid[0].set_ylabel(normal_plane.names[1])
    _name_classes(figure)
    return figure


def measures(values: Mapping[str, np.ndarray], anomalous: ArrayLike) -> Figure:
    """Draws a small panel for each measure, by class.

    Args:
      values: measures by name: `[N]`, drawn as histograms, with the AUROC of larger
        values as more anomalous; or `[N, channels]`, drawn as means per channel, with
        the channels in the order of the normal images' means.
      anomalous: booleans `[N]`, with both classes.
    """
    anomalous = np.asarray(anomalous, bool)
    figure, grid = style.panels(len(values), 2.2)
    for axes, (name, value) in zip(grid, values.items(), strict=True):
        style.tidy(axes, name)
        if value.ndim == 1:
            _histogram(axes, _by_class(value[~anomalous], value[anomalous]))
            auroc = metrics.auroc(anomalous, value)
            axes.set(xlabel=f"AUROC {auroc:.3f}", ylabel="share of the class")
            continue
        normals = value[~anomalous].mean(axis=0)
        anomalies = value[anomalous].mean(axis=0)
        order = np.argsort(normals, kind="stable")
        axes.plot(anomalies[order], ".-", color=style.ANOMALOUS, linewidth=0.8, ms=4)
        axes.plot(normals[order], color=style.NORMAL, linewidth=1.6)
        axes.locator_params(axis="x", integer=True)
        axes.set(xlabel="channel, in order of the normals' mean", ylabel="mean")
    _name_classes(figure)
    return figure


def distances(
    normals: ArrayLike, anomalies: ArrayLike, groups: Mapping[str, ArrayLike]
) -> Figure:
    """Draws learned distances between the images of random pairs, in [0, 1].

    Args:
      normals: distances between two normal test images.
      anomalies: distances between a normal and an anomalous one.
      groups: distances between two training images of a group, by its name.

    Kinds of pairs that do not occur are left out.
    """
    test = {
        "normal, normal": (style.NORMAL, normals),
        "normal, anomalous": (style.ANOMALOUS, anomalies),
    }
    training = {
        f"{name}, {name}": (color, values)
        for (name, values), color in zip(groups.items(), style.GROUPS, strict=False)
    }
    panels = {"Pairs of test images": test, "Pairs of training images": training}
    panels = {
        title: {label: pairs for label, pairs in series.items() if np.size(pairs[1])}
        for title, series in panels.items()
    }
    panels = {title: series for title, series in panels.items() if series}
    figure, grid = style.panels(len(panels), 3.4)
    for axes, (title, series) in zip(grid, panels.items(), strict=True):
        style.tidy(axes, title)
        _histogram(axes, series, edges=np.linspace(0, 1, 51))
        axes.set(xlabel="distance", xlim=(0, 1))
        axes.legend(frameon=False, fontsize=8, labelcolor=style.INK)
    grid[0].set_ylabel("share of the pairs")
    return figure


def table(
    names: Sequence[str],
    series: Mapping[str, Sequence[tuple[float | None, float | None]]],
    published: Sequence[float | None],
    title: str,
) -> Figure:
    """Draws the AUROC of each class as a bar, its deviation over seeds as a line.

    Args:
      names: names of the classes, the last one "mean".
      series: pairs (AUROC, deviation) of the names by label, None where unknown.
      published: AUROC of each name in the paper, drawn as a black stroke, or None.
      title: text over the picture.
    """
    from matplotlib import colormaps

    figure = style.new_figure(max(4.8, 0.7 * len(names) + 1.5), 3.4)
    axes = style.tidy(figure.subplots(), title)
    place, each = np.arange(len(names)), 0.8 / len(series)
    colors = [style.NORMAL, *colormaps["viridis"](np.linspace(0.4, 0.95, len(series)))]
    number = lambda value: np.nan if value is None else value
    lowest = [0.5]
    for i, (label, row) in enumerate(series.items()):
        means, deviations = np.array([[number(v) for v in pair] for pair in row]).T
        middle = place - 0.4 + each * (i + 0.5)
        axes.bar(middle, means, 0.9 * each, color=colors[i], label=label)
        axes.errorbar(
            middle, means, deviations, fmt="none", ecolor=style.INK, capsize=2, lw=1
        )
        lowest.append(np.nanmin(means - np.nan_to_num(deviations), initial=1))
    paper = np.array([number(value) for value in published], float)
    if not np.isnan(paper).all():
        axes.hlines(paper, place - 0.45, place + 0.45, color="black", lw=2)
        axes.plot([], color="black", lw=2, label="paper")
        lowest.append(np.nanmin(paper))
    axes.axvline(len(names) - 1.5, color=style.FAINT, lw=1)
    axes.set_xticks(place, names, rotation=30 if max(map(len, names)) > 5 else 0)
    axes.set(ylabel="AUROC", ylim=(max(0, np.floor(10 * min(lowest)) / 10 - 0.1), 1))
    axes.axhline(0.5, color=style.FAINT, lw=1, zorder=0)
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1, 1),
        ncols=len(series) + 1,
        frameon=False,
        fontsize=8,
        labelcolor=style.INK,
    )
    return figure


def _by_class(normals: ArrayLike, anomalies: ArrayLike) -> Series:
    classes = [
        ("normal", style.NORMAL, normals),
        ("anomalous", style.ANOMALOUS, anomalies),
    ]
    return {
        f"{name} ({np.size(values):,})": (color, values)
        for name, color, values in classes
        if np.size(values)
    }


def _histogram(axes: Axes, series: Series, edges: np.ndarray | None = None) -> None:
    """Draws values as shares of their series; those beyond the edges in the last bins.

    Without `edges`, 50 bins span all values but 0.1 % at either end.
    """
    # Bins between neighbouring float32 numbers need the finer grid of float64.
    columns = {
        label: (color, np.asarray(values, np.float64))
        for label, (color, values) in series.items()
    }
    if edges is None:
        pooled = np.concatenate([values for _, values in columns.values()])
        span = np.quantile(pooled, [0.001, 0.999])
        edges = np.histogram_bin_edges(span, bins=50)
    for label, (color, values) in columns.items():
        counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
        share = counts / len(values)
        axes.stairs(share, edges, fill=True, color=color, alpha=0.35, label=label)
        axes.stairs(share, edges, color=color, linewidth=1.2)


def _name_classes(figure: Figure) -> None:
    """Adds one legend for all panels of a figure."""
    from matplotlib.patches import Patch

    classes = {"normal": style.NORMAL, "anomalous": style.ANOMALOUS}
    figure.legend(
        handles=[Patch(color=color, label=name) for name, color in classes.items()],
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize=8,
        labelcolor=style.INK,
    )


def _running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Centred mean of `window` values, of fewer where the ends cut it off."""
    ones = np.ones(window)
    total = np.convolve(values, ones, mode="same")
    return total / np.convolve(np.ones_like(values), ones, mode="same")
