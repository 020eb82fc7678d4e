"""Several methods on the same division of the data, in one table."""

import dataclasses
import functools
import json
import math
import os
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from ocjax import _files, _markdown, data, runs, training
from ocjax._checks import InputError
from ocjax.evaluation import plots, synthetic
from ocjax.inference.run_folder import trained
from ocjax.runs import task as tasks
from ocjax.runs.config import parse

SPOILED, TIMED = 200, 64  # Most pictures to spoil, and to time scoring by.


@dataclasses.dataclass(frozen=True)
class Row:
    """What one method comes to.

    Attributes:
      method: its name.
      auroc: area under the ROC curve of the test pictures, in [0, 1]; None where none
        is anomalous.
      auroc_low: lower end of its 95 % interval.
      auroc_high: upper end of that.
      kinds: kind of synthetic anomaly -> AUROC of held-out normal pictures against the
        same ones spoiled, in [0, 1].
      train_seconds: time of training, compilation included.
      score_milliseconds: time of scoring a picture, nothing compiled.
      megabytes: size of what was learned, without a frozen network.
      failed: why there are no numbers; "" where there are.
    """

    method: str
    auroc: float | None = None
    auroc_low: float | None = None
    auroc_high: float | None = None
    kinds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    train_seconds: float | None = None
    score_milliseconds: float | None = None
    megabytes: float | None = None
    failed: str = ""

    @property
    def synthetic(self) -> float | None:
        """Mean over the kinds of synthetic anomalies."""
        return sum(self.kinds.values()) / len(self.kinds) if self.kinds else None


def compared(
    values: Mapping[str, Any],
    path: str | os.PathLike,
    *,
    seed: int = 0,
    data_dir: str | None = None,
) -> Row:
    """Trains and judges one method; a finished run folder is not trained again.

    Args:
      values: configuration, as `runs.configure` makes it.
      path: run folder.
      seed: seed of the run, and of how pictures are spoiled.
      data_dir: where the data are.

    Returns:
      A row; its `failed` says where the method cannot be used on these data.

    Raises:
      InputError: the data cannot be read.
    """
    method = str(values["method"])
    try:
        settings = parse(values)
    except InputError as error:
        return Row(method, failed=str(error))
    config = settings.config
    dataset, fingerprint = _loaded(
        config.dataset, data_dir, config.image_size, config.fit
    )
    try:
        task = tasks.of_dataset(settings, seed, dataset, fingerprint)
        summary = runs.run(task, path)
        assert summary is not None  # One process has it.
        run = trained(path)
    except (InputError, training.NonFiniteError) as error:
        return Row(method, failed=str(error))
    images = dataset.images[task.split.validation[:SPOILED]]
    kinds = synthetic.aurocs(run.score, images, seed) if len(images) > 1 else {}
    measures, timed = summary.judgement.measures, dataset.images[:TIMED]
    run.score(timed)
    start = time.perf_counter()
    run.score(timed)
    milliseconds = 1000 * (time.perf_counter() - start) / len(timed)
    leaves = jax.tree.leaves((run.state.params, run.state.stats))
    return Row(
        method,
        auroc=measures and measures.auroc,
        auroc_low=measures and measures.auroc_low,
        auroc_high=measures and measures.auroc_high,
        kinds=kinds,
        train_seconds=summary.training.train_seconds
        + (summary.training.compile_seconds or 0),
        score_milliseconds=milliseconds,
        megabytes=sum(leaf.nbytes for leaf in leaves) / 2**20,
    )


@functools.lru_cache(4)
def _loaded(
    name: str, data_dir: str | None, size: int, fit: str
) -> tuple[data.Dataset, str]:
    """A data set and its fingerprint, once for all methods that see it so."""
    dataset = data.load(name, data_dir=data_dir, size=size, fit=fit)
    return dataset, data.fingerprint(dataset)


def table(rows: Sequence[Row]) -> str:
    """Table in Markdown; best first by what no anomaly had a part in, failures last."""
    header = ["method", "SYNTHETIC", "AUROC", "95 % interval"]
    header += ["train s", "score ms", "model MB"]
    lines = []
    for row in _ordered(rows):
        if row.failed:
            lines.append([row.method, row.failed, "", "", "", "", ""])
            continue
        ends = row.auroc_low, row.auroc_high
        interval = "" if None in ends else "{:.3f} to {:.3f}".format(*ends)
        cells = [_number(row.synthetic, 3), _number(row.auroc, 3), interval]
        cells += [_number(row.train_seconds, 1), _number(row.score_milliseconds, 2)]
        lines.append([row.method, *cells, _number(row.megabytes, 2)])
    return _markdown.table(header, lines)


def by_kind(rows: Sequence[Row]) -> str:
    """Table in Markdown of each kind of synthetic anomaly."""
    whole = [row for row in _ordered(rows) if row.kinds]
    kinds = list(dict.fromkeys(kind for row in whole for kind in row.kinds))
    lines = [
        [row.method, *(_number(row.kinds.get(kind), 3) for kind in kinds)]
        for row in whole
    ]
    return _markdown.table(["method", *kinds], lines)


def write(folder: pathlib.Path, rows: Sequence[Row], note: str) -> None:
    """Writes `comparison.md`, `.json` and `.png` into a folder.

    Args:
      folder: where; made if it is not there.
      rows: those of all methods so far.
      note: what is to be said below the table.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = f"{table(rows)}\n\n{note}\n"
    if any(row.kinds for row in rows):
        text += f"\nBy kind of synthetic anomaly:\n\n{by_kind(rows)}\n"
    drawn = [row for row in _ordered(rows) if not row.failed]
    contents = {
        "comparison.md": text.encode(),
        "comparison.json": json.dumps(
            [dataclasses.asdict(row) for row in rows], indent=2
        ).encode(),
    }
    if drawn:
        nan = float("nan")
        figure = plots.comparison(
            [row.method for row in drawn],
            [nan if row.synthetic is None else row.synthetic for row in drawn],
            [nan if row.auroc is None else row.auroc for row in drawn],
            [
                (nan, nan)
                if row.auroc_low is None or row.auroc_high is None
                else (row.auroc_low, row.auroc_high)
                for row in drawn
            ],
        )
        contents["comparison.png"] = plots.png(figure)
    for name, content in contents.items():
        with _files.replacing(folder / name) as path:
            path.write_bytes(content)


def _ordered(rows: Sequence[Row]) -> list[Row]:
    def rank(row: Row) -> tuple[bool, float]:
        value = row.auroc if row.synthetic is None else row.synthetic
        return bool(row.failed), -(value if value is not None else -math.inf)

    return sorted(rows, key=rank)


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
