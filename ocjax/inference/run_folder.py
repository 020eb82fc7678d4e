"""A run folder as a scorer."""

import os
import pathlib
from typing import NamedTuple

import jax
import numpy as np

from ocjax._checks import InputError
from ocjax.inference import archive
from ocjax.inference.scorer import Card, Scorer, check_weights, of_method
from ocjax.methods import Method, State
from ocjax.runs.build import build_method
from ocjax.runs.folder import RunFolder
from ocjax.runs.known import FILE, Known
from ocjax.runs.task import Task, load
from ocjax.training.checkpoint import Checkpoints


class Trained(NamedTuple):
    """What a run has learned, and what it was told."""

    folder: pathlib.Path
    known: Known
    method: Method
    state: State  # Of the last checkpoint.
    finished: bool  # Else the run was interrupted, and the state is on its way.
    scorer: Scorer  # Without held-out normals before the end of the run, and where its
    # scores are those of a leak.

    def score(self, images: np.ndarray) -> np.ndarray:
        """Scores images, as `Scorer.score` does."""
        return self.scorer.score(images)


def trained(run_folder: str | os.PathLike) -> Trained:
    """What was trained in a run folder; its training data are not needed.

    Args:
      run_folder: of one run, finished or interrupted.

    Raises:
      InputError: there is no such folder, it is none of one run, has no checkpoint
        that can be read, or is of another version.
    """
    folder = RunFolder(run_folder)
    known = _known(folder)
    config = known.config
    images = jax.ShapeDtypeStruct((1, *[config.image_size] * 2, known.channels), "f4")
    try:
        method = build_method(config, known.hyper, known.standardization)
        like = jax.eval_shape(method.init, jax.random.key(0), images)
    except InputError:
        raise
    except Exception as error:  # Of damaged values anything may come.
        raise InputError(
            f"{folder.path / FILE} is damaged: {' '.join(str(error).split())}"
        ) from error
    check_weights(folder.path, known.weights, method.weights)
    state = None
    if folder.checkpoints.is_dir():
        with Checkpoints(folder.checkpoints) as checkpoints:
            state = checkpoints.restore(like, method.computes)
    if state is None:
        raise InputError(f"{folder.path} has no checkpoint yet.")
    if state.sums:
        raise InputError(
            f"{folder.path} has not seen all training images yet: start its command "
            "again."
        )
    card = _card(folder, known)
    return Trained(
        folder.path,
        known,
        method,
        state,
        folder.result() is not None,
        of_method(card, method, state),
    )


def task_of(run: Trained, data_dir: str | os.PathLike | None = None) -> Task:
    """What a finished run worked on, to judge it in another way.

    Raises:
      InputError: the run is not finished, its data are elsewhere or other ones, or none
        of its test images is anomalous.
    """
    if not run.finished:
        raise InputError(f"{run.folder} is not finished: start its command again.")
    task = load(run.known.flat(), run.known.seed, data_dir)
    if task.fingerprint != run.known.data:
        raise InputError(f"{run.folder} was trained on other data: see --data_dir.")
    if not task.split.anomalous.any():
        raise InputError(f"{run.folder} has no anomalous test images.")
    return task


def _card(folder: RunFolder, known: Known) -> Card:
    """What the scorer of a run says of itself."""
    config = known.config
    summary, flags = folder.result(), config.paper_code
    leaking = flags.batch_statistics or flags.best_epoch or flags.min_max
    target, rate, threshold, normals = "interrupted", None, None, []
    if summary is not None:
        target = summary.identity.target
        rate = summary.judgement.promised_false_positive_rate
    if summary is not None and not leaking:
        decisions, normals = summary.judgement.decisions, folder.held_out()
        threshold = None if decisions is None else decisions.threshold
    file = folder.path / "env.json"
    environment = folder.read_object("env.json") if file.exists() else {}
    try:
        card = Card(
            config.method,
            f"{config.dataset}, {target}",
            config.image_size,
            known.channels,
            tuple(sorted(normals)),
            rate or config.false_positive_rate,
            threshold,
            environment.get("versions", {}).get("ocjax") or "",
            environment.get("commit"),
            known.weights,
            config.fit,
        )
        archive.check(card)
    except (AttributeError, KeyError, ValueError) as error:
        raise InputError(
            f"{folder.path} has a damaged eval/ or env.json: {error!r}."
        ) from error
    return card


def _known(folder: RunFolder) -> Known:
    """What `run.json` says."""
    file = folder.path / FILE
    if not folder.path.is_dir():
        raise InputError(f"There is no run folder {folder.path}.")
    if not file.is_file():
        raise InputError(f"{folder.path} is no run folder: it has no {FILE}.")
    values = folder.read_object(FILE)
    if "runs" in values:
        raise InputError(
            f"{folder.path} has many runs; name the folder of one of them."
        )
    try:
        return Known.from_json(values)
    except (InputError, AttributeError, TypeError, ValueError) as error:
        raise InputError(f"{file} is of another version: {error}") from error
