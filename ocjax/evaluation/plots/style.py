"""Colours, frames and files that all pictures share."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NORMAL = "#0072b2"
ANOMALOUS = "#d55e00"
GROUPS = ("#007a5a", "#aa4499")  # Groups of training images, which are all normal.
DOTS_PER_INCH = 192  # Twice the pixels of CSS's inch: sharp on today's screens.
INK, MUTED, FAINT = "#24292f", "#6e7781", "#d0d7de"


def png(figure: Figure) -> bytes:
    """Draws a figure as the bytes of a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    # `savefig` would draw a figure that lays itself out twice, for the layout.
    buffer = io.BytesIO()
    figure.set_dpi(DOTS_PER_INCH)
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


def new_figure(width: float, height: float) -> Figure:
    """Makes an empty figure, sizes in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), facecolor="white")
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.08, wspace=0.03)
    return figure


def panels(count: int, height: float) -> tuple[Figure, list[Axes]]:
    """Makes a figure of up to three small panels in a line, each `height` inches."""
    columns = min(count, 3)
    lines = -(-count // columns)
    figure = new_figure(9.6 if columns == 3 else 4.8 * columns, height * lines + 0.3)
    grid = list(figure.subplots(lines, columns, squeeze=False).flat)
    for axes in grid[count:]:
        axes.set_axis_off()
    return figure, grid[:count]


def tidy(axes: Axes, title: str) -> Axes:
    """Titles a panel and hides the parts of its frame that no reader needs."""
    axes.set_title(title, loc="left", fontsize=10, color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(which="both", color=FAINT, labelcolor=MUTED, labelsize=8)
    axes.xaxis.label.set(color=MUTED, fontsize=9)
    axes.yaxis.label.set(color=MUTED, fontsize=9)
    return axes
