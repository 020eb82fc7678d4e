"""Compare methods on the same division of the data.

Each method trains with its own defaults; a table and a picture say how well it tells
the anomalous test pictures from the good ones, and held-out good pictures from the same
ones spoiled. The second needs no anomaly, so a method may be chosen by it.

  ocjax compare pictures/ --workdir=runs/comparison
  ocjax compare digits --normal_class=8 --methods=pca,lof,autoencoder --minutes=10
"""

import argparse
import math
import pathlib
import time

from ocjax.cli import arguments as shared

METHODS = (
    "pca", "knn", "lof", "mahalanobis", "ocsvm", "kde", "iforest", "padim", "patchcore",
    "knn_features", "autoencoder",
)  # fmt: skip
LEAK = (
    "AUROC is that of the anomalous test pictures: to choose a method by it is a leak, "
    "and the winner's AUROC promises too much. SYNTHETIC is the mean AUROC of held-out "
    "good pictures against the same ones spoiled: no anomaly has a part in it."
)


def add(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    from ocjax.runs.bounds import Range
    from ocjax.runs.config import RunConfig

    parser.usage = "ocjax compare DATA [--FLAG VALUE ...]"
    shared.completed(
        parser.add_argument("data", metavar="DATA", help="folder, or data set")
    )
    parser.add_argument(
        "--methods",
        metavar="NAMES",
        default=",".join(METHODS),
        help="methods, joined by commas (default: all that take minutes at most)",
    )
    parser.add_argument(
        "--minutes",
        type=shared.number(float, Range(0)),
        metavar="N",
        help="minutes after which no method begins (default: no limit)",
    )
    shared.completed(
        parser.add_argument(
            "--workdir",
            metavar="DIR",
            help="folder of the table and the runs (default: runs/compare-NAME)",
        )
    )
    shared.add_data_dir(parser)
    parser.add_argument(
        "--normal_class",
        metavar="CLASS",
        help=f"normal class of a data set (default: {RunConfig.normal_class})",
    )
    shared.add_seed(parser, "all randomness")


def run(arguments: argparse.Namespace) -> int:
    """Trains and judges the methods; prints the table, and writes it with a picture."""
    from ocjax import _files, runs
    from ocjax._checks import InputError, one_of
    from ocjax.cli import train
    from ocjax.inference import comparison
    from ocjax.methods.registry import NAMES
    from ocjax.runs.display import say

    methods = [name.strip() for name in arguments.methods.split(",") if name.strip()]
    if not methods:
        raise InputError("Expected --methods, joined by commas; got none.")
    for name in methods:
        one_of("method of --methods", name, NAMES)
    fields, data_dir = train.data_fields(arguments.data, arguments.data_dir)
    if arguments.normal_class is not None:
        fields["normal_class"] = arguments.normal_class
    values = runs.configure(**fields).to_dict()
    name = pathlib.Path(arguments.data).resolve().name
    folder = _files.local(arguments.workdir or f"runs/compare-{name}", "--workdir")
    rows, start = [], time.monotonic()
    end = math.inf if arguments.minutes is None else start + 60 * arguments.minutes
    for method in dict.fromkeys(methods):
        if time.monotonic() > end:
            row = comparison.Row(method, failed="not begun: --minutes were over")
        else:
            say(f"\n{method}")
            row = comparison.compared(
                values | {"method": method, "hyper": {}, "report": False},
                folder / method,
                seed=arguments.seed,
                data_dir=data_dir,
            )
        if row.failed:
            say(f"{method}: {row.failed}")
        rows.append(row)
        comparison.write(
            folder, rows, LEAK
        )  # Rows are written one by one, so that none is lost.
    print(comparison.table(rows))
    say(f"\n{LEAK}\n\nThe table is in {folder}/comparison.md, by kind of damage too.")
    return 0
