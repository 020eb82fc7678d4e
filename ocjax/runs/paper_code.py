"""Leaks of published code, which no honest evaluation may have, behind flags.

They show how much of a published number is the leak. A result of a run with any of
these flags is marked wherever it appears.
"""

import io
import zipfile

import jax
import numpy as np

from ocjax import data, evaluation
from ocjax._checks import InputError
from ocjax.evaluation import metrics
from ocjax.methods import Method, State
from ocjax.runs.config import SELECTED_ON, PaperCode
from ocjax.runs.folder import RunFolder
from ocjax.runs.task import Task
from ocjax.training import processes

BEST = "eval/best_epoch.npz"


def both_scores(
    task: Task, method: Method, state: State, folder: RunFolder
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the reported test images, and of the held-out normals.

    Without flags they are those of the last state, each image's its own, and each of
    several processes scores its part. With flags process 0 scores alone, and others get
    none.

    Args:
      task: data and configuration.
      method: method that was trained.
      state: state after the last step.
      folder: folder of the run, with the scores of the best epoch.
    """
    flags, split = task.config.paper_code, task.split
    if not flags.leaks():
        images = task.dataset.images
        test, held_out = images[split.test], images[split.validation]
        return _shared_out(method, state, test), _shared_out(method, state, held_out)
    if not processes.primary():
        return np.empty(0, np.float32), np.empty(0, np.float32)
    if flags.best_epoch:
        scores, held_out = BestEpoch(task, folder).scores()
        scores = scores[_reported(flags, len(scores))]
    else:
        scores = _score(task, method, state, split.test, split.anomalous)
        held_out = _score(task, method, state, split.validation)
    if flags.min_max:
        low, high = scores.min(), scores.max()
        scores, held_out = (
            (scores - low) / (high - low),
            (held_out - low) / (high - low),
        )
    return scores, held_out


def _shared_out(method: Method, state: State, images: np.ndarray) -> np.ndarray:
    """Scores of images, of which each process scores its part on its devices."""
    count, number = jax.process_count(), jax.process_index()
    if count == 1:
        return evaluation.score(method, state, images)
    size = -(-len(images) // count)
    own = images[number * size : (number + 1) * size]
    scores = np.zeros(size, np.float32)
    scores[: len(own)] = evaluation.score(method, state, own)
    return processes.gather(scores)[: len(images)]


def reported(task: Task) -> Task:
    """Task with the reported test images alone, without those that select the epoch."""
    split = task.split
    rest = _reported(task.config.paper_code, len(split.test))
    split = split._replace(test=split.test[rest], anomalous=split.anomalous[rest])
    return task._replace(split=split)


def check(task: Task) -> None:
    """Raises `InputError` where the data lack images that a flag looks at."""
    if task.config.paper_code.best_epoch and not task.split.anomalous.any():
        raise InputError(
            "`config.paper_code.best_epoch` looks at anomalous test images, and "
            f"{task.dataset.name} has none."
        )


class BestEpoch:
    """Scores of the epoch that labelled test images call best."""

    def __init__(self, task: Task, folder: RunFolder):
        """Goes on from the best epoch in the folder, if there is one."""
        self._task, self._path, self._folder = task, folder.path / BEST, folder
        self._best = float(self._read()["auroc"]) if self._path.exists() else -np.inf

    def look(self, method: Method, state: State) -> float:
        """Keeps the scores of a state if they are the best so far; returns the AUROC.

        An epoch that a resumed run sees again has the same scores and changes nothing.
        """
        split, flags = self._task.split, self._task.config.paper_code
        scores = _score(self._task, method, state, split.test, split.anomalous)
        mask = ...
        if flags.best_epoch == "test_part":
            mask = ~_reported(flags, len(scores))
        auroc = metrics.auroc(split.anomalous[mask], scores[mask])
        if auroc > self._best:
            held_out = _score(self._task, method, state, split.validation)
            content = io.BytesIO()
            np.savez(content, scores=scores, held_out=held_out, auroc=auroc)
            self._folder.write(BEST, content.getvalue())
            self._best = auroc
        return auroc

    def scores(self) -> tuple[np.ndarray, np.ndarray]:
        """Scores of all test images, and of the held-out normals."""
        best = self._read()
        return best["scores"], best["held_out"]

    def _read(self):
        try:
            return np.load(self._path)
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise InputError(
                f"{self._path} is damaged ({error}); name another --workdir."
            ) from error


def _score(task, method, state, index, anomalous=None) -> np.ndarray:
    """Scores `[len(index)]` of images, in the batches that the flags say."""
    images, kind = task.dataset.images[index], task.config.paper_code.batch_statistics
    if not kind:
        return evaluation.score(method, state, images)
    if kind == "ordered" and anomalous is not None:
        order = np.argsort(anomalous, kind="stable")
    else:
        order = np.random.default_rng(0).permutation(len(images))
    scores = np.empty(len(images), np.float32)
    batch_size = task.config.batch_size
    whole = len(images) // batch_size * batch_size
    for rows, size in (order[:whole], batch_size), (order[whole:], len(images) - whole):
        if len(rows):
            scores[rows] = data.map_images(
                method.score_batchwise,
                images[rows],
                arguments=(state,),
                chunk=size,
                piece=size * max(1, 1024 // size),
            )
    return scores


def _reported(flags: PaperCode, count: int) -> np.ndarray:
    """Mask of those of `count` test images that are reported; others select."""
    if flags.best_epoch != "test_part":
        return np.ones(count, bool)
    return np.random.default_rng(0).permutation(count) >= SELECTED_ON * count
