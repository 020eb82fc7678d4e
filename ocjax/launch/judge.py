"""From a trained state to the judgement in the run folder."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ocjax import data, evaluation
from ocjax._checks import InputError
from ocjax.evaluation import metrics, plots, thresholds
from ocjax.launch.folder import RunFolder
from ocjax.launch.task import Task
from ocjax.methods import Method, State


def judge(
    task: Task,
    method: Method,
    state: State,
    folder: RunFolder,
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Scores the test part, and writes scores, pictures, report and summary.

    The summary comes last: a folder that has one is finished.

    Args:
      task: data and configuration.
      method: that was trained.
      state: after the last step.
      folder: of the run.
      facts: what else the summary says, such as speed.

    Returns:
      The summary.
    """
    split, images = task.split, task.dataset.images
    scores = evaluation.score(method, state, images[split.test])
    held_out = evaluation.score(method, state, images[split.validation])
    threshold, chosen = _threshold(held_out, scores[~split.anomalous], task)
    summary = (
        _identity(task)
        | metrics.summary(split.anomalous, scores)
        | chosen
        | dict(facts)
    )
    _write_scores(folder, task, scores, threshold)
    figures = _figures(task, method, state, scores, threshold, summary, folder)
    for name, figure in figures.items():
        folder.write(f"plots/{name}.png", figure)
    evaluation.write_report(
        folder.path / "report.html",
        summary=summary,
        config=folder.read_json("config.json"),
        environment=folder.read_json("env.json"),
        figures=figures,
    )
    folder.write_json("eval/summary.json", summary)
    return summary


def _identity(task: Task) -> dict[str, Any]:
    field = data.TARGET[task.config.protocol]
    name = task.dataset.class_names[task.target]
    return {
        "method": task.config.method,
        "dataset": task.config.dataset,
        "protocol": task.config.protocol,
        field: name,
        "target": f"{field.replace('_', ' ')} {name}",
        "seed": task.seed,
        "epochs": task.config.epochs,
    }


def _threshold(held_out: np.ndarray, normals: np.ndarray, task: Task):
    """The threshold's value or None, and what the summary says of it."""
    rate = task.config.false_positive_rate
    try:
        threshold = thresholds.from_normals(held_out, rate)
    except InputError as error:
        value, reached, note = None, None, str(error)
    else:
        value, note = float(threshold.value), None
        reached = thresholds.reached(normals, threshold)
    return value, {
        "threshold": value,
        "promised_false_positive_rate": rate,
        "reached_false_positive_rate": reached,
        "held_out_normals": len(held_out),
        "threshold_note": note,
    }


def _write_scores(folder: RunFolder, task: Task, scores, threshold) -> None:
    """One row a test image; `index` counts the pooled train and test parts."""
    labels = task.dataset.labels[task.split.test]
    names = [task.dataset.class_names[label] for label in labels]
    decisions = [
        "" if threshold is None else ("anomalous" if s > threshold else "normal")
        for s in scores
    ]
    rows = zip(
        task.split.test.tolist(),
        names,
        task.split.anomalous.astype(int).tolist(),
        [repr(float(s)) for s in scores],
        decisions,
        strict=True,
    )
    header = ["index", "label", "anomalous", "score", "decision"]
    folder.write_csv("eval/scores.csv", header, rows)


def _figures(
    task, method, state, scores, threshold, summary, folder
) -> dict[str, bytes]:
    anomalous = task.split.anomalous
    reconstruct = None
    if method.reconstruct is not None:
        reconstruct = lambda x: evaluation.map_images(
            method.reconstruct, x, arguments=(state,)
        )
    rows = folder.metrics()
    skipped = {"step", "epoch", "seconds", "images_per_second"}
    terms = sorted({name for row in rows for name in row} - skipped)
    interval = metrics.Interval(summary["auroc_low"], summary["auroc_high"])
    figures = {
        "image_grid": plots.image_grid(
            task.dataset.images[task.split.test], anomalous, scores, reconstruct
        ),
        "score_histogram": plots.score_histogram(
            scores[~anomalous], scores[anomalous], threshold
        ),
        "roc": plots.roc(anomalous, scores, interval),
    }
    if terms:
        figures["training_curves"] = plots.training_curves(rows, terms)
    return {name: plots.png(figure) for name, figure in figures.items()}
