"""Pictures of a run's report, those that the method's views allow."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from ocjax import data, training
from ocjax.evaluation import heatmaps, plots
from ocjax.evaluation.judgement import Judgement
from ocjax.methods import Method, State
from ocjax.methods.base import Groups
from ocjax.runs.folder import RunFolder
from ocjax.runs.task import Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EACH = 1000  # Largest number of images of a class, and of pairs of a kind.
POINTS = 1000  # Largest number of latents in a picture.
NOT_TERMS = {"step", "epoch", "seconds", "images_per_second"}


def draw(
    task: Task,
    method: Method,
    state: State,
    scores: np.ndarray,
    judgement: Judgement,
    groups: Groups | None,
    rows: Sequence[Mapping[str, Any]],
) -> dict[str, bytes]:
    """Returns the pictures that the method allows, as PNG files by name.

    Args:
      task: data and configuration.
      method: method that was trained.
      state: state after the last step.
      scores: scores of the test images, `[N]`.
      judgement: judgement of the same images.
      groups: groups that the method divides the training images into, if it does.
      rows: logged rows of the run.
    """
    decisions, measures = judgement.decisions, judgement.measures
    threshold = None if decisions is None else decisions.threshold
    images, anomalous = task.dataset.images[task.split.test], task.split.anomalous
    steps = dict(method.views.images)
    if method.reconstruct is not None:
        steps["reconstruction"] = method.reconstruct
    steps = {name: functools.partial(_map, f, state) for name, f in steps.items()}
    explain = functools.partial(_map, heatmaps.explained(method), state)
    masks = task.dataset.masks
    figures = {
        "score_histogram": plots.score_histogram(
            scores[~anomalous], scores[anomalous], threshold
        ),
    }
    if measures is not None:
        interval = measures.auroc_low, measures.auroc_high
        figures["roc"] = plots.roc(anomalous, scores, interval)
    figures["examples"] = plots.examples(
        images,
        anomalous,
        scores,
        lambda chosen: explain(chosen)[1],
        threshold,
        None if masks is None else masks[task.split.test],
    )
    if method.views.nearest is not None:
        figures["nearest"] = plots.nearest(
            images,
            anomalous,
            scores,
            functools.partial(_map, method.views.nearest, state),
            lambda numbers: task.dataset.images[task.split.train[numbers]],
        )
    if anomalous.any():
        figures["image_grid"] = plots.image_grid(images, anomalous, scores, steps)
        figures["most_anomalous"] = plots.most_anomalous(images, anomalous, scores)
    if groups is not None:
        name, grade = next(iter(groups.grades.items()))
        figures["split"] = plots.split(
            task.dataset.images[task.split.train], groups.members, grade, name
        )
    if anomalous.any():
        figures |= _latents(task, method, state)
    if anomalous.any() and method.views.distance is not None:
        members = {} if groups is None else groups.members
        figures["distances"] = _distances(task, method.views.distance, state, members)
    terms = sorted({name for row in rows for name in row} - NOT_TERMS)
    if terms and method.descends:
        figures["training_curves"] = plots.training_curves(rows, terms)
    return {name: plots.png(figure) for name, figure in figures.items()}


def _map(function: Callable, state: State, images: np.ndarray):
    return data.map_images(function, images, arguments=(state,))


def divided(task: Task, method: Method, state: State) -> Groups | None:
    """Groups that the method's stages divide the training images into, if any."""
    for stage in method.stages:
        if stage.grade is not None:
            images = task.dataset.images[task.split.train]
            return training.divided(stage, state, images)
    return None


def write_split(folder: RunFolder, task: Task, groups: Groups) -> None:
    """Writes `eval/split.csv`, one row a training image.

    Its `index` counts the pooled train and test parts.
    """
    names = np.full(len(task.split.train), "", object)
    for name, members in groups.members.items():
        names[members] = name
    grades = [[repr(float(g)) for g in grade] for grade in groups.grades.values()]
    rows = zip(task.split.train.tolist(), names, *grades, strict=True)
    folder.write_csv("eval/split.csv", ["index", "group", *groups.grades], rows)


def _latents(task: Task, method: Method, state: State) -> dict[str, Figure]:
    """Draws latents and measures, those that the method has."""
    images, split, views = task.dataset.images, task.split, method.views
    spaces = dict(views.latents)
    if not spaces and method.embed is not None:
        spaces = {"latent": method.embed}
    look = _look(tuple(spaces.items()), tuple(views.measures.items()))
    figures, rng = {}, np.random.default_rng(0)
    if method.embed is not None and views.decode is not None:
        normals = split.validation if len(split.validation) else split.train
        chosen = rng.permutation(normals)[:EACH]
        latents = _map(method.embed, state, images[chosen])
        decode = jax.jit(views.decode, static_argnums=2)
        if latents.shape[1] > 1:
            figures["manifold"] = plots.manifold(
                latents, lambda z: decode(state, z, images.shape[1:])
            )
    if not spaces and not views.measures:
        return figures
    chosen = _choose_of_both(split.anomalous, rng)
    latents, measures = _map(look, state, images[split.test[chosen]])
    # JAX sorts mappings by name; the method's order comes back here.
    latents = {name: latents[name][:POINTS] for name in spaces}
    latents = {name: z for name, z in latents.items() if z.shape[1] > 1}
    measures = {name: measures[name] for name in views.measures}
    if latents:
        figures["latents"] = plots.latents(latents, split.anomalous[chosen[:POINTS]])
    if measures:
        figures["measures"] = plots.measures(measures, split.anomalous[chosen])
    return figures


@functools.lru_cache(8)  # One function for all runs alike, so that it compiles once.
def _look(spaces: tuple, measures: tuple) -> Callable:
    """Makes the function of latents and measures by name, for one forward pass."""

    def look(state, x):
        latents = {name: space(state, x) for name, space in spaces}
        return latents, {name: measure(state, x) for name, measure in measures}

    return look


@functools.lru_cache(8)
def _between(distance: Callable) -> Callable:
    """Makes the distance of pairs in one array, with both images in the channels."""

    def between(state, both):
        channels = both.shape[-1] // 2
        return distance(state, both[..., :channels], both[..., channels:])

    return between


def _choose_of_both(anomalous: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Indices of up to `EACH` images of each class, in random order."""
    order = rng.permutation(len(anomalous))
    normals, anomalies = order[~anomalous[order]], order[anomalous[order]]
    return rng.permutation(np.concatenate([normals[:EACH], anomalies[:EACH]]))


def _distances(
    task: Task,
    distance: Callable,
    state: State,
    members: Mapping[str, np.ndarray],
) -> Figure:
    """Draws distances between random pairs of test images, and within groups."""
    split, rng = task.split, np.random.default_rng(0)
    normals, anomalies = split.test[~split.anomalous], split.test[split.anomalous]
    kinds = [(normals, normals), (normals, anomalies)]
    kinds += [(split.train[rows], split.train[rows]) for rows in members.values()]
    pairs = [np.stack([rng.choice(part, EACH) for part in kind]) for kind in kinds]
    # An image is no pair with itself.
    pairs = [pair[:, pair[0] != pair[1]] for pair in pairs]
    first, second = task.dataset.images[np.concatenate(pairs, axis=1)]
    both = np.concatenate([first, second], axis=-1)
    distances = _map(_between(distance), state, both)
    ends = np.cumsum([pair.shape[1] for pair in pairs])
    normal, mixed, *within = np.split(distances, ends[:-1])
    return plots.distances(normal, mixed, dict(zip(members, within, strict=True)))
