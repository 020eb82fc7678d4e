"""From a trained state to the judgement in the run folder."""

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ocjax import data, evaluation
from ocjax.evaluation import heatmaps, metrics, thresholds
from ocjax.methods import Method, State
from ocjax.runs import health, known, paper_code, pictures
from ocjax.runs.display import say
from ocjax.runs.folder import RunFolder
from ocjax.runs.task import Task


def judge(
    task: Task,
    method: Method,
    state: State,
    folder: RunFolder,
    facts: Mapping[str, Any],
    phase: Callable[[str], object] = lambda text: None,
) -> dict[str, Any]:
    """Scores the test part, and writes scores, pictures, report and summary.

    The summary comes last: a folder that has one is finished.

    Args:
      task: data and configuration.
      method: that was trained.
      state: after the last step.
      folder: of the run.
      facts: what else the summary says, such as speed.
      phase: told what is being done.

    Returns:
      The summary.
    """
    start = time.perf_counter()
    phase(f"scoring {len(task.split.test):,} images")
    scores, held_out = paper_code.both_scores(task, method, state, folder)
    task = paper_code.reported(task)
    scored = time.perf_counter()
    summary = summarize(task, scores, held_out, folder) | dict(facts)
    threshold = summary["threshold"]
    figures = {}
    if task.dataset.masks is not None:
        phase("comparing heatmaps with masks")
        summary |= _where(task, method, state)
    summary["warnings"] = _warnings(task, method, state, scores, summary, folder)
    if task.execution.report:
        phase("drawing the report")
        figures = pictures.draw(task, method, state, scores, threshold, folder)
    summary |= {
        "score_seconds": round(scored - start, 2),
        "draw_seconds": round(time.perf_counter() - scored, 2),
    }
    for name, figure in figures.items():
        folder.write(f"plots/{name}.png", figure)
    if task.execution.report:
        write_report(folder, summary, figures)
    folder.write_json("eval/summary.json", summary)
    return summary


def write_report(
    folder: RunFolder, summary: Mapping[str, Any], figures: Mapping[str, bytes]
) -> None:
    """Writes `report.html` of a summary and its pictures, name -> PNG file."""
    order = [name for name in evaluation.CAPTIONS if name in figures]
    evaluation.write_report(
        folder.path / "report.html",
        summary=summary,
        config=folder.read_object(known.FILE),
        environment=folder.read_object("env.json"),
        figures={name: figures[name] for name in order},
        warnings=[
            *(f"Not honest: {leak}" for leak in summary["leaks"]),
            *summary.get("warnings", []),
        ],
    )


def summarize(
    task: Task, scores: np.ndarray, held_out: np.ndarray, folder: RunFolder
) -> dict[str, Any]:
    """Judges scores, whoever gave them; writes `eval/scores.csv`, `eval/held_out.csv`.

    Args:
      task: data and configuration.
      scores: of the test images, `[N]`.
      held_out: of the held-out normal images, for the threshold.
      folder: of the run.

    Returns:
      All of the summary that depends on scores alone.
    """
    split = task.split
    threshold, chosen = _threshold(held_out, scores[~split.anomalous], task)
    if threshold is not None:
        called = scores > threshold
        chosen["anomalies_found"] = int(called[split.anomalous].sum())
        chosen["false_alarms"] = int(called[~split.anomalous].sum())
    _write_scores(folder, task, scores, threshold, held_out)
    folder.write_csv(
        "eval/held_out.csv", ["score"], [[repr(float(s))] for s in held_out]
    )
    if split.anomalous.any():
        measures = metrics.summary(split.anomalous, scores)
    else:
        measures = metrics.summary_of_normals(scores)
    return (
        _identity(task)
        | measures
        | _by_kind(task, scores)
        | chosen
        | {"leaks": task.config.paper_code.leaks()}
    )


def _warnings(
    task: Task,
    method: Method,
    state: State,
    scores: np.ndarray,
    summary: Mapping[str, Any],
    folder: RunFolder,
) -> list[str]:
    """Signs that the run has not learned, each with what to do."""
    images, split = task.dataset.images, task.split
    warnings = []
    if method.descends:
        per_epoch = len(split.train) // task.config.batch_size
        warnings += health.of_training(
            summary["steps"], per_epoch, folder.metrics(), str(folder.path)
        )
    if method.reconstruct is not None and len(split.validation):
        held_out = images[split.validation[: health.LOOKED_AT]]
        looked_at = health.reconstruction(method, state, held_out)
        warnings += health.of_reconstructions(
            looked_at.spread,
            float(looked_at.errors.mean()),
            health.mean_image_error(images[split.train[:1000]], held_out),
        )
    return warnings + health.of_scores(scores) + health.of_result(summary)


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


def _by_kind(task: Task, scores: np.ndarray) -> dict[str, Any]:
    """AUROCs of each kind of anomaly, and of scores that need no training."""
    dataset, split = task.dataset, task.split
    if not split.anomalous.any():
        return {"kinds": {}, "baselines": {}, "note": dataset.note}
    names = np.array(dataset.class_names)[dataset.labels[split.test]]
    kinds = functools.partial(metrics.by_kind, split.anomalous, kinds=names)
    baselines = {
        name: {
            "auroc": metrics.auroc(split.anomalous, baseline[split.test]),
            "kinds": kinds(baseline[split.test]),
        }
        for name, baseline in dataset.baselines.items()
    }
    return {"kinds": kinds(scores), "baselines": baselines, "note": dataset.note}


def _threshold(held_out: np.ndarray, normals: np.ndarray, task: Task):
    """The threshold's value or None, and what the summary says of it."""
    said: dict[str, Any] = {
        "threshold": None,
        "promised_false_positive_rate": task.config.false_positive_rate,
        "reached_false_positive_rate": None,
        "reached_low": None,
        "reached_high": None,
        "held_out_normals": len(held_out),
        "threshold_note": "No normal images were held out.",
        "anomalies_found": None,
        "false_alarms": None,
    }
    if not len(held_out):
        return None, said
    found, note = thresholds.nearest(held_out, task.config.false_positive_rate)
    if note:
        say(f"Note: {note}")
    low, high = thresholds.reached_interval(normals, found)
    return found.value, said | {
        "threshold": found.value,
        "promised_false_positive_rate": found.false_positive_rate,
        "reached_false_positive_rate": thresholds.reached(normals, found),
        "reached_low": low,
        "reached_high": high,
        "threshold_note": note or None,
    }


def _where(task: Task, method: Method, state: State) -> dict[str, float]:
    """How well heatmaps of the test images find what the masks mark."""
    dataset, test = task.dataset, task.split.test
    assert dataset.masks is not None
    explain = heatmaps.explained(method)
    _, maps = data.map_images(explain, dataset.images[test], arguments=(state,))
    masks = dataset.masks[test]
    if not masks.any():
        return {}
    return {
        "pixel_auroc": metrics.pixel_auroc(masks, maps),
        "per_region_overlap": metrics.per_region_overlap(masks, maps),
    }


def _write_scores(folder: RunFolder, task: Task, scores, threshold, held_out) -> None:
    """One row a test image; `index` counts the pooled train and test parts."""
    dataset, test = task.dataset, task.split.test
    names = [dataset.class_names[label] for label in dataset.labels[test]]
    decisions = [
        "" if threshold is None else ("anomalous" if s > threshold else "normal")
        for s in scores
    ]
    columns = {
        "index": test.tolist(),
        "label": names,
        "anomalous": task.split.anomalous.astype(int).tolist(),
        "score": [repr(float(s)) for s in scores],
        "decision": decisions,
    }
    if len(held_out):
        p_values = thresholds.p_values(held_out, scores)
        columns["p_value"] = [f"{p:.6g}" for p in p_values]
    if dataset.paths is not None:
        columns["path"] = [dataset.paths[i] for i in test]
    rows = zip(*columns.values(), strict=True)
    folder.write_csv("eval/scores.csv", list(columns), rows)
