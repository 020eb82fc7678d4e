"""Score pictures with a trained detector.

Writes a table with a row a picture: path, score (larger is more anomalous), decision,
the share of held-out normal images with a lower score, p-value, and what is wrong with
a file that cannot be read. Such files do not stop the others, but make the exit status
1. Nothing is replaced without --force.

  ocjax score pictures/ --model=runs/pictures --out=scores.csv
"""

import argparse
import contextlib
import csv
import glob
import os
import pathlib
import sys
from collections.abc import Callable, Iterator

from ocjax.cli import arguments as shared

COLUMNS: tuple[str, ...] = (
    "path", "score", "decision", "percentile", "p_value", "error",
)  # fmt: skip


def add(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    shared.completed(
        parser.add_argument(
            "images", nargs="+", metavar="IMAGES", help="files, folders or patterns"
        )
    )
    shared.add_model(parser)
    shared.completed(
        parser.add_argument("--out", help="CSV file (default: standard output)")
    )
    shared.completed(
        parser.add_argument(
            "--heatmaps",
            metavar="FOLDER",
            help="folder for pictures with heatmaps over them (default: none)",
        )
    )
    shared.add_force(parser)


def run(arguments: argparse.Namespace) -> int:
    """Scores the pictures; returns 1 where files could not be read."""
    from ocjax import _files, inference
    from ocjax.cli import heatmaps, progress
    from ocjax.runs.display import say

    paths, force = pictures(arguments.images), arguments.force
    out, maps = arguments.out, {}
    if out is not None:
        out = _files.output(out, "--out", force=force, sources=paths)
    if arguments.heatmaps is not None:
        folder = _files.local(arguments.heatmaps, "--heatmaps")
        maps = heatmaps.targets(paths, folder)
        heatmaps.check(maps, folder, force, out)
    scorer = inference.open(arguments.model, arguments.false_positive_rate)
    if scorer.card.threshold is None:
        say("No decisions: the model has too few held-out normals for its rate.")
    unreadable = anomalous = 0
    with _table(out) as write, progress.shown("scoring", len(paths)) as done:
        for path, verdict in scorer.judge_files(paths):
            row = _row(path, verdict)
            write(row)
            if row["error"]:
                unreadable += 1
            if row["decision"] == "anomalous":
                anomalous += 1
            done.done += 1
    if maps:
        heatmaps.draw(scorer, maps)
    line = f"{len(paths) - unreadable:,} pictures scored, {anomalous:,} anomalous"
    if unreadable:
        line += f"; {unreadable:,} could not be read (see the column error)"
    say(f"{line}.")
    return 1 if unreadable else 0


def pictures(images: list[str]) -> list[str]:
    """Files that arguments name, sorted within each of them.

    Raises:
      InputError: an argument names nothing, or a folder without pictures.
    """
    from ocjax import _files
    from ocjax._checks import InputError
    from ocjax.data import files

    paths = []
    for name in images:
        path = _files.local(name, "IMAGES")
        if path.is_dir():
            matches = [str(p) for p in files.below(path)]
            if not matches:
                raise InputError(
                    f"{path} has no pictures: looked for {', '.join(files.SUFFIXES)}."
                )
        elif path.exists():
            matches = [str(path)]
        else:
            matches = sorted(
                p for p in glob.glob(str(path), recursive=True) if os.path.isfile(p)
            )
            if not matches:
                near = _files.did_you_mean(path)
                raise InputError(f"There is no file, folder or pattern {name}{near}")
        paths += matches
    return paths


def _row(path: str, verdict) -> dict[str, str]:
    row = dict.fromkeys(COLUMNS, "") | {"path": path}
    if isinstance(verdict, Exception):
        return row | {"decision": "unreadable", "error": str(verdict)}
    row["score"] = repr(verdict.score)
    if verdict.anomalous is not None:
        row["decision"] = "anomalous" if verdict.anomalous else "normal"
    if verdict.p_value is not None:
        row["percentile"] = f"{verdict.percentile:.2f}"
        row["p_value"] = f"{verdict.p_value:.6g}"
    return row


@contextlib.contextmanager
def _table(out: pathlib.Path | None) -> Iterator[Callable]:
    """Writes rows to a file that appears whole, or to standard output as they come."""
    from ocjax import _files

    if out is None:
        yield _writer(sys.stdout)
        return
    with _files.replacing(out) as temporary:
        # File names may be of any bytes.
        with open(
            temporary, "w", newline="", encoding="utf-8", errors="surrogateescape"
        ) as file:
            yield _writer(file)


def _writer(file) -> Callable:
    table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    table.writeheader()
    return table.writerow
