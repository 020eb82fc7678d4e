"""Score pictures with a trained detector.

Writes a table with a row a picture: path, score (larger is more anomalous), decision,
the share of held-out normal images with a lower score, p-value, and what is wrong with
a file that cannot be read. Such files do not stop the others, but make the exit status
1.

  ocjax score pictures/ --model=runs/pictures --out=scores.csv
"""

import argparse
import contextlib
import csv
import glob
import os
import pathlib
import sys
import time
from collections.abc import Callable, Iterator

from ocjax.cli import arguments as shared

COLUMNS: tuple[str, ...] = (
    "path", "score", "decision", "percentile", "p_value", "error",
)  # fmt: skip
HEATMAPS = 64  # Pictures whose heatmaps are drawn together.


def add(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument(
        "images", nargs="+", metavar="IMAGES", help="files, folders or patterns"
    )
    shared.add_model(parser)
    parser.add_argument("--out", help="CSV file; by default standard output")
    parser.add_argument("--heatmaps", help="folder to write pictures with heatmaps to")


def run(arguments: argparse.Namespace) -> int:
    """Scores, and returns 1 where files could not be read."""
    from ocjax.launch.display import say
    from ocjax.models import open_model

    paths = found(arguments.images)
    scorer = open_model(arguments.model, arguments.false_positive_rate)
    if scorer.card.threshold is None:
        say("No decisions: the model has too few held-out normals for its rate.")
    start, bad, anomalous = time.perf_counter(), 0, 0
    with _table(arguments.out) as write:
        for count, (path, verdict) in enumerate(scorer.judge_files(paths), 1):
            row = _row(path, verdict)
            write(row)
            bad += bool(row["error"])
            anomalous += row["decision"] == "anomalous"
            if count % 1000 == 0:
                rate = count / (time.perf_counter() - start)
                say(f"{count:,} of {len(paths):,}  {rate:.0f}/s")
    if arguments.heatmaps:
        _draw(scorer, paths, pathlib.Path(arguments.heatmaps))
    say(
        f"{len(paths) - bad:,} pictures scored, {anomalous:,} anomalous"
        + (f"; {bad:,} could not be read (see the column error)." if bad else ".")
    )
    return int(bad > 0)


def found(images: list[str]) -> list[str]:
    """The files that arguments name, sorted within each of them.

    Raises:
      InputError: an argument names nothing, or a folder without pictures.
    """
    from ocjax._checks import InputError
    from ocjax.data import files

    paths = []
    for name in images:
        path = pathlib.Path(name).expanduser()
        if path.is_dir():
            own = [str(p) for p in files.below(path)]
            if not own:
                raise InputError(
                    f"{path} has no pictures: looked for {', '.join(files.SUFFIXES)}."
                )
        elif path.exists():
            own = [str(path)]
        else:
            own = sorted(
                p for p in glob.glob(name, recursive=True) if os.path.isfile(p)
            )
            if not own:
                raise InputError(f"There is no file, folder or pattern {name}.")
        paths += own
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
def _table(out: str | None) -> Iterator[Callable]:
    """Writes rows to a file that appears whole, or to standard output as they come."""
    from ocjax._checks import InputError

    if out is None:
        yield _writer(sys.stdout)
        sys.stdout.flush()
        return
    path = pathlib.Path(out)
    if not path.name or path.is_dir():
        raise InputError(f"--out={out}: expected the name of a file.")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with open(part, "w", newline="") as file:
        yield _writer(file)
    part.replace(path)  # After an error what was scored stays in the part.


def _writer(file) -> Callable:
    table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    table.writeheader()
    return table.writerow


def _draw(scorer, paths: list[str], folder: pathlib.Path) -> None:
    """Writes each picture beside its heatmap; all heatmaps are on one scale."""
    import numpy as np
    from PIL import Image

    from ocjax.data import files
    from ocjax.evaluation.plots.images import overlay

    def judged():
        for part, images, errors in files.pieces(paths, scorer.card.shape, HEATMAPS):
            maps = scorer.judge(images, explain=True).heatmaps
            yield [name for name in part if name not in errors], images, maps

    folder.mkdir(parents=True, exist_ok=True)
    largest = max((maps.max(initial=0) for _, _, maps in judged()), default=1)
    common = os.path.commonpath([os.path.dirname(os.path.abspath(p)) for p in paths])
    for names, images, maps in judged():
        rgb = np.repeat(images, 3, -1) if images.shape[-1] == 1 else images
        shown = np.concatenate([rgb / 255, overlay(rgb / 255, maps, largest)], axis=2)
        for name, picture in zip(names, shown, strict=True):
            path = folder / os.path.relpath(os.path.abspath(name), common)
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.round(picture * 255).astype(np.uint8)
            Image.fromarray(pixels).save(path.with_name(path.name + ".png"))
