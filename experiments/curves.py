"""Draws logged terms of several runs over each other.

    python experiments/curves.py RUN RUN... --terms=generator,discriminator \
        --labels=dual,single --out=FILE.png

Each term gets a panel, each run a colour. A run without a term is left out of its
panel. LR-GDAN's Figure 4, the losses of generator and discriminator with and without
the second autoencoder, is made by the command above.
"""

import argparse
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from ocjax.evaluation.plots import style
from ocjax.runs.folder import RunFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colours of Okabe and Ito, which colour-blind readers tell apart.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")


def overlay(runs: Mapping[str, Sequence[Mapping]], terms: Sequence[str]) -> "Figure":
    """Draws a panel per term: each run as logged (thin) and its running mean (thick).

    Args:
      runs: logged steps by label of the run, each with "step" and some of the terms;
        at most as many runs as `COLORS`.
      terms: names of terms to draw, in order. A term that is positive in all runs and
        spans more than two decades gets a logarithmic axis.

    Raises:
      ValueError: no run has one of the terms.
    """
    figure, panels = style.panels(len(terms), 3.0)
    for axes, term in zip(panels, terms, strict=True):
        style.tidy(axes, term)
        curves = []
        for (label, rows), color in zip(runs.items(), COLORS, strict=False):
            logged = [(row["step"], row[term]) for row in rows if term in row]
            if not logged:
                continue
            curve = np.array(logged, np.float64).T
            smooth = _running_mean(curve, max(1, len(logged) // 20))
            axes.plot(*curve, color=color, alpha=0.25, linewidth=0.6)
            axes.plot(*smooth, color=color, linewidth=1.5, label=label)
            curves.append(curve[1])
        if not curves:
            names = sorted({n for rows in runs.values() for row in rows for n in row})
            raise ValueError(f"No run has logged {term!r}, but {', '.join(names)}.")
        values = np.concatenate(curves)
        if values.min() > 0 and values.max() > 100 * values.min():
            axes.set_yscale("log")
        axes.legend(frameon=False, fontsize=8, labelcolor=style.INK)
    figure.supxlabel("step", fontsize=9, color=style.MUTED)
    return figure


def _running_mean(curve: np.ndarray, window: int) -> np.ndarray:
    """Averages steps and values `[2, N]` over windows of `window` neighbours."""
    return np.lib.stride_tricks.sliding_window_view(curve, window, axis=1).mean(-1)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Ends the process with one line."""
        raise SystemExit(f"Error: {message}")


def main(arguments: Sequence[str]) -> None:
    """Draws the runs of a command line."""
    parser = _Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    words = lambda text: text.split(",")
    parser.add_argument("runs", nargs="+", type=pathlib.Path, metavar="RUN")
    parser.add_argument("--terms", type=words, required=True)
    parser.add_argument(
        "--labels", type=words, help="labels of the runs (default: the folders' names)"
    )
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_intermixed_args(arguments)
    labels = options.labels or [folder.name for folder in options.runs]
    if len(set(labels)) != len(options.runs):
        parser.error(f"{len(options.runs)} runs need as many different --labels.")
    if len(labels) > len(COLORS):
        parser.error(f"At most {len(COLORS)} runs can be told apart.")
    runs = {}
    for label, folder in zip(labels, options.runs, strict=True):
        runs[label] = RunFolder(folder).metrics()
        if not runs[label]:
            parser.error(f"{folder} has no logged steps; is it a run folder?")
    try:
        options.out.write_bytes(style.png(overlay(runs, options.terms)))
    except (ValueError, OSError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
