"""Judgement of a trained state, written to the run folder."""

import dataclasses
import functools
import time
from collections.abc import Callable

import numpy as np

from ocjax import data, evaluation
from ocjax.evaluation import (
    heatmaps,
    judgement,
    metrics,
    synthetic,
    thresholds,
    yardsticks,
)
from ocjax.evaluation.judgement import Judgement
from ocjax.methods import Method, State
from ocjax.runs import health, paper_code, pictures, record, report
from ocjax.runs.display import say
from ocjax.runs.folder import RunFolder
from ocjax.runs.summary import Baseline, Identity, Summary, Training
from ocjax.runs.task import Task


def judge(
    task: Task,
    method: Method,
    state: State,
    folder: RunFolder,
    training: Training | None,
    command: str = "",
    phase: Callable[[str], object] = lambda text: None,
) -> Summary | None:
    """Scores the test part, and writes scores, pictures, report and summary.

    All processes of a job score; process 0 alone writes.

    The summary comes last: a folder that has one is finished.

    Args:
      task: data and configuration.
      method: method that was trained.
      state: state after the last step.
      folder: folder of the run.
      training: size, speed and times of training; None where another process writes.
      command: command that reproduces the run.
      phase: function that is called with the name of each phase.

    Returns:
      The summary; None in processes that do not write.
    """
    start = time.perf_counter()
    phase(f"scoring {len(task.split.test):,} images")
    scores, held_out = paper_code.both_scores(task, method, state, folder)
    seconds = time.perf_counter() - start
    if training is None:
        return None
    task = paper_code.reported(task)
    summary = _summarize(task, method, scores, held_out, folder, training)
    localization, figures, draw_seconds = None, {}, None
    if task.dataset.masks is not None:
        phase("comparing heatmaps with masks")
        localization = _localization(task, method, state)
    if task.execution.report:
        phase("drawing the report")
        figures, draw_seconds = _drawn(
            task, method, state, scores, summary.judgement, folder
        )
    summary = dataclasses.replace(
        summary,
        localization=localization,
        synthetic=_synthetic(task, method, state, folder, training.steps),
        warnings=_warnings(task, method, state, scores, summary, folder),
        score_seconds=round(seconds, 2),
        draw_seconds=draw_seconds,
        command=command,
    )
    for name, figure in figures.items():
        folder.write(f"plots/{name}.png", figure)
    if task.execution.report:
        report.write(folder, summary, figures)
    folder.finish(summary)
    return summary


def _summarize(
    task: Task,
    method: Method,
    scores: np.ndarray,
    held_out: np.ndarray,
    folder: RunFolder,
    training: Training,
) -> Summary:
    """Judges scores; writes `eval/scores.csv` and `eval/held_out.csv`.

    Args:
      task: data and configuration.
      method: method that was trained.
      scores: scores of the test images, `[N]`.
      held_out: scores of the held-out normal images, for the threshold.
      folder: folder of the run.
      training: size, speed and times of training.

    Returns:
      Summary, without the fields that need more than scores.
    """
    config, dataset, split = task.config, task.dataset, task.split
    threshold, note = None, "No normal images were held out."
    promised = config.false_positive_rate
    if len(held_out):
        threshold, note = thresholds.nearest(held_out, promised)
        promised = threshold.false_positive_rate
        if note:
            say(f"Note: {note}")
    _write_scores(folder, task, scores, threshold, held_out)
    folder.write_csv(
        "eval/held_out.csv", ["score"], [[repr(float(s))] for s in held_out]
    )
    names = np.array(dataset.class_names)[dataset.labels[split.test]]
    return Summary(
        identity=Identity(
            method=config.method,
            dataset=config.dataset,
            protocol=config.protocol,
            target_class=dataset.class_names[task.target],
            seed=task.seed,
            epochs=config.epochs if method.descends else 0,
        ),
        judgement=judgement.judge(split.anomalous, scores, names, threshold, promised),
        held_out_normals=len(held_out),
        threshold_note=note or None,
        baselines=_baselines(task, names) if split.anomalous.any() else {},
        synthetic={},
        training=training,
        note=dataset.note,
        leaks=tuple(config.paper_code.leaks()),
        warnings=(),
        localization=None,
        score_seconds=None,
        draw_seconds=None,
        command="",
        workdir=str(folder.path),
    )


def _baselines(task: Task, names: np.ndarray) -> dict[str, Baseline]:
    """Results of simple scores on test images of these kinds, by name."""
    split, dataset = task.split, task.dataset
    from_data = {n: scores[split.test] for n, scores in dataset.baselines.items()}
    simple = from_data | yardsticks.scores(dataset.images, split.train, split.test)
    auroc = functools.partial(metrics.auroc, split.anomalous)
    kinds = functools.partial(metrics.by_kind, split.anomalous, kinds=names)
    # They are sorted, as they are in the summary's file.
    return {name: Baseline(auroc(s), kinds(s)) for name, s in sorted(simple.items())}


def _synthetic(
    task: Task, method: Method, state: State, folder: RunFolder, steps: int
) -> dict[str, float]:
    """How well held-out normal images are told from the same images spoiled.

    Of erased boxes as the last look saw it; and of what `select_by` asks for.
    """
    seen = {}
    for row in folder.metrics():
        if row["step"] == steps and "erased_auroc" in row:
            seen["erased"] = row["erased_auroc"]
    kind = task.config.select_by
    wanted = {"": (), "mean": synthetic.KINDS}.get(kind, ("erased", kind))
    missing = [kind for kind in wanted if kind not in seen]
    held_out = task.dataset.images[task.split.validation[: record.SPOILED]]
    if len(held_out) < 2 or not missing:
        return seen
    score = functools.partial(evaluation.score, method, state)
    measured = seen | synthetic.aurocs(score, held_out, kinds=missing)
    return dict(sorted(measured.items()))


def _warnings(
    task: Task,
    method: Method,
    state: State,
    scores: np.ndarray,
    summary: Summary,
    folder: RunFolder,
) -> tuple[str, ...]:
    """Warnings that the run has not learned, each with a remedy."""
    images, split = task.dataset.images, task.split
    warnings = []
    if method.descends:
        per_epoch = None
        if task.config.epochs:
            per_epoch = len(split.train) // task.config.batch_size
        warnings += health.of_training(
            summary.training.steps, per_epoch, folder.metrics(), str(folder.path)
        )
        if method.reconstruct is not None and len(split.validation):
            held_out = images[split.validation[: health.MOST_IMAGES]]
            reconstruction = health.reconstruction(method, state, held_out)
            warnings += health.of_reconstructions(
                reconstruction.spread,
                float(reconstruction.errors.mean()),
                health.mean_image_error(images[split.train[:1000]], held_out),
            )
    warnings += health.of_scores(scores) + health.of_judgement(summary.judgement)
    if (measures := summary.judgement.measures) is not None:
        aurocs = {name: simple.auroc for name, simple in summary.baselines.items()}
        warnings += health.of_yardsticks(measures, aurocs)
    return tuple(warnings)


def _localization(
    task: Task, method: Method, state: State
) -> metrics.Localization | None:
    """Measures of how well heatmaps of the test images find what masks mark."""
    dataset, test = task.dataset, task.split.test
    assert dataset.masks is not None
    explain = heatmaps.explained(method)
    _, maps = data.map_images(explain, dataset.images[test], arguments=(state,))
    return metrics.localization(dataset.masks[test], maps)


def _drawn(
    task: Task,
    method: Method,
    state: State,
    scores: np.ndarray,
    judgement: Judgement,
    folder: RunFolder,
) -> tuple[dict[str, bytes], float]:
    """Pictures of the report, and the seconds that drawing them took."""
    # A large import, which comes before the clock starts.
    import matplotlib.backends.backend_agg  # noqa: F401

    groups = pictures.divided(task, method, state)
    if groups is not None:
        pictures.write_split(folder, task, groups)
    rows = folder.metrics()
    start = time.perf_counter()
    figures = pictures.draw(task, method, state, scores, judgement, groups, rows)
    return figures, round(time.perf_counter() - start, 2)


def _write_scores(
    folder: RunFolder,
    task: Task,
    scores: np.ndarray,
    threshold: thresholds.Threshold | None,
    held_out: np.ndarray,
) -> None:
    """Writes a row a test image; `index` counts the pooled train and test parts."""
    dataset, test = task.dataset, task.split.test
    names = [dataset.class_names[label] for label in dataset.labels[test]]
    decisions = [
        "" if threshold is None else "anomalous" if s > threshold.value else "normal"
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
