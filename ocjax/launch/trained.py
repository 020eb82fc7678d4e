"""A run folder, back as something that scores images."""

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from ocjax import data
from ocjax._checks import InputError
from ocjax.export import archive
from ocjax.export.scorer import Card, Scorer, of_method
from ocjax.launch.build import build_method
from ocjax.launch.config import RunConfig, parse
from ocjax.launch.folder import RunFolder
from ocjax.launch.task import Task, load
from ocjax.methods import Method, State
from ocjax.training.checkpoint import Checkpoints, plain


class Trained(NamedTuple):
    """What a run has learned, and what it was told."""

    folder: pathlib.Path
    config: RunConfig
    hyper: Any  # The method's own `Config`.
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
    config, hyper = _configuration(folder.path)
    standard = None
    if config.standardize:
        standard = _standard(folder)
    try:
        method = build_method(config, hyper, None, standard)
        shapes = _shapes(method, config.image_size)
    except InputError:
        raise
    except Exception as error:  # Of damaged values anything may come.
        raise InputError(
            f"{folder.path / 'config.json'} is damaged: {' '.join(str(error).split())}"
        ) from error
    like, channels = _fitting(shapes, folder)
    with Checkpoints(folder.checkpoints) as checkpoints:
        state = checkpoints.restore(like)
    assert state is not None  # Its shapes were there.
    card = _card(folder, config, channels)
    return Trained(
        folder.path,
        config,
        hyper,
        method,
        state,
        folder.result() is not None,
        of_method(card, method, state),
    )


def _standard(folder: RunFolder) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each channel of the training images."""
    try:
        mean, deviation = folder.read_json("standard.json")
        return tuple(map(float, mean)), tuple(map(float, deviation))
    except (OSError, TypeError, ValueError) as error:
        raise InputError(
            f"{folder.path / 'standard.json'} is missing or damaged: {error}"
        ) from error


def task_of(run: Trained, data_dir: str | os.PathLike | None = None) -> Task:
    """What a finished run worked on, to judge it in another way.

    Raises:
      InputError: the run is not finished, its data are elsewhere or other ones, or none
        of its test images is anomalous.
    """
    told = RunFolder(run.folder).read_json("config.json")
    seed, trained_on = told.pop("seed"), told.pop("data", None)  # None: an old run.
    if not run.finished:
        raise InputError(f"{run.folder} is not finished: start its command again.")
    task = load(told, seed, data_dir)
    if trained_on not in (None, data.fingerprint(task.dataset)):
        raise InputError(f"{run.folder} was trained on other data: see --data_dir.")
    if not task.split.anomalous.any():
        raise InputError(f"{run.folder} has no anomalous test images.")
    return task


def _card(folder: RunFolder, config: RunConfig, channels: int) -> Card:
    """What the scorer of a run says of itself."""
    result, flags = folder.result() or {}, config.paper_code
    leaking = flags.batch_statistics or flags.best_epoch or flags.min_max
    normals = [] if leaking or not result else folder.held_out()
    file = folder.path / "env.json"
    environment = folder.read_object("env.json") if file.exists() else {}
    try:
        card = Card(
            config.method,
            f"{config.dataset}, {result.get('target', 'interrupted')}",
            config.image_size,
            channels,
            tuple(sorted(normals)),
            result.get("promised_false_positive_rate") or config.false_positive_rate,
            None if leaking or not result else result["threshold"],
            environment.get("versions", {}).get("ocjax") or "",
            environment.get("commit"),
        )
        archive.check(card)
    except (AttributeError, KeyError, ValueError) as error:
        raise InputError(
            f"{folder.path} has a damaged eval/ or env.json: {error!r}."
        ) from error
    return card


def _configuration(path: pathlib.Path) -> tuple[RunConfig, Any]:
    """What `config.json` says, defaults where a field is missing."""
    file = path / "config.json"
    if not path.is_dir():
        raise InputError(f"There is no run folder {path}.")
    if not file.is_file():
        raise InputError(f"{path} is no run folder: it has no config.json.")
    try:
        values = json.loads(file.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file} is damaged: {error}.") from error
    if not isinstance(values, Mapping):
        raise InputError(f"{file} is damaged: expected one object.")
    if "runs" in values:
        raise InputError(f"{path} has many runs; name the folder of one of them.")
    try:
        told = {name: values[name] for name in values if name not in ("seed", "data")}
        return parse(told)
    except (InputError, AttributeError, TypeError, ValueError) as error:
        raise InputError(f"{file} is of another version: {error}") from error


def _shapes(method: Method, size: int) -> dict[int, State]:
    """Shapes of the state by the channels of its images."""
    images = lambda channels: jax.ShapeDtypeStruct((1, size, size, channels), "f4")
    key = jax.random.key(0)
    return {n: jax.eval_shape(method.init, key, images(n)) for n in (1, 3)}


def _fitting(shapes: Mapping[int, State], folder: RunFolder) -> tuple[State, int]:
    """Shapes of the saved state, and the channels of its images.

    The configuration does not say whether images were grey or in colour. The shapes of
    the saved parameters do.
    """
    names = [p.name for p in folder.checkpoints.glob("*") if p.name.isdecimal()]
    if not names:
        raise InputError(f"{folder.path} has no checkpoint yet.")
    for name in sorted(names, key=int, reverse=True):
        try:
            saved = _saved(folder.checkpoints / name)
        except Exception:  # Damaged: `restore` takes the one before, and says so.
            continue
        fitting = [n for n, x in shapes.items() if _parameters(x.params) == saved]
        if len(fitting) != 1:
            raise InputError(
                f"{folder.checkpoints / name} has other parameters than the networks "
                f"of {folder.path / 'config.json'}: is it of another version?"
            )
        return shapes[fitting[0]], fitting[0]
    raise InputError(f"No checkpoint in {folder.checkpoints} can be read.")


def _saved(checkpoint: pathlib.Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the parameters of a checkpoint, without reading them."""
    import orbax.checkpoint as ocp

    handler: Any = ocp.StandardCheckpointHandler()  # Its type asks for another Path.
    with plain(checkpoint) as folder:
        found = handler.metadata(folder / "state")
    return _parameters(found["params"])


def _parameters(tree: Any) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): tuple(leaf.shape) for path, leaf in leaves}
