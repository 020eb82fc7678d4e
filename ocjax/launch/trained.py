"""A run folder, back as something that scores images."""

import json
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ocjax import evaluation
from ocjax._checks import InputError
from ocjax.launch import runs
from ocjax.launch.config import RunConfig, parse
from ocjax.launch.folder import RunFolder
from ocjax.methods import Method, State
from ocjax.training.checkpoint import Checkpoints


class Trained(NamedTuple):
    """What a run has learned, and what it was told."""

    folder: pathlib.Path
    config: RunConfig
    hyper: Any  # The method's own `Config`.
    method: Method
    state: State  # Of the last checkpoint.
    shape: tuple[int, int, int]  # (S, S, C) of the images that it scores.
    finished: bool  # Else the run was interrupted, and the state is on its way.
    # Above it an image is called anomalous; None before the end of the run, where the
    # run held out too few normal images, and where its scores are those of a leak.
    threshold: float | None

    def score(self, images: np.ndarray) -> np.ndarray:
        """Scores images, larger where more anomalous.

        Args:
          images: `[N, *shape]`; uint8, or floats in [-1, 1].

        Returns:
          Scores, float32 `[N]`; of an image the same in any company.

        Raises:
          InputError: the shape is another.
          ValueError: a float is not in [-1, 1].
          TypeError: `images` are neither uint8 nor floating point.
        """
        images = np.asarray(images)
        if images.shape[1:] != self.shape:
            size, _, channels = self.shape
            raise InputError(
                f"Expected images of shape [N, {size}, {size}, {channels}], as those "
                f"that trained, got {list(images.shape)}."
            )
        return evaluation.score(self.method, self.state, images)

    def score_files(
        self, paths: Sequence[str | os.PathLike]
    ) -> Iterator[tuple[str, float]]:
        """(path, score) of image files, as `evaluation.score_files` gives them."""
        return evaluation.score_files(self.method, self.state, paths, shape=self.shape)


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
    if config.standardize:
        raise InputError(
            f"{folder.path} standardizes pixels by its training images, and does not "
            "keep by what: it cannot score without them."
        )
    method = runs.build_method(config, hyper, None, None)
    like, channels = _shapes(method, config.image_size, folder)
    with Checkpoints(folder.checkpoints) as checkpoints:
        state = checkpoints.restore(like)
    assert state is not None  # Its shapes were there.
    result, flags = folder.result(), config.paper_code
    leaking = flags.batch_statistics or flags.best_epoch or flags.min_max
    return Trained(
        folder.path,
        config,
        hyper,
        method,
        state,
        (config.image_size, config.image_size, channels),
        result is not None,
        None if result is None or leaking else result["threshold"],
    )


def _configuration(path: pathlib.Path) -> tuple[RunConfig, Any]:
    """What `config.json` says, defaults where a field is missing."""
    file = path / "config.json"
    if not path.is_dir():
        raise InputError(f"There is no run folder {path}.")
    if not file.is_file():
        raise InputError(f"{path} is no run folder: it has no config.json.")
    try:
        values = json.loads(file.read_text())
    except ValueError as error:
        raise InputError(f"{file} is damaged: {error}.") from error
    if not isinstance(values, Mapping):
        raise InputError(f"{file} is damaged: expected one object.")
    if "runs" in values:
        raise InputError(f"{path} has many runs; name the folder of one of them.")
    try:
        return parse({name: values[name] for name in values if name != "seed"})
    except (InputError, TypeError) as error:
        raise InputError(f"{file} is of another version: {error}") from error


def _shapes(method: Method, size: int, folder: RunFolder) -> tuple[State, int]:
    """Shapes of the saved state, and the channels of its images.

    The configuration does not say whether images were grey or in colour. The shapes of
    the saved parameters do.
    """
    of = {
        channels: jax.eval_shape(
            method.init, jax.random.key(0), jnp.zeros((1, size, size, channels))
        )
        for channels in (1, 3)
    }
    names = [p.name for p in folder.checkpoints.glob("*") if p.name.isdecimal()]
    if not names:
        raise InputError(f"{folder.path} has no checkpoint yet.")
    for name in sorted(names, key=int, reverse=True):
        try:
            saved = _saved(folder.checkpoints / name)
        except Exception:  # Damaged: `restore` takes the one before, and says so.
            continue
        fitting = [c for c, like in of.items() if _parameters(like.params) == saved]
        if len(fitting) != 1:
            raise InputError(
                f"{folder.checkpoints / name} has other parameters than the networks "
                f"of {folder.path / 'config.json'}: is it of another version?"
            )
        return of[fitting[0]], fitting[0]
    raise InputError(f"No checkpoint in {folder.checkpoints} can be read.")


def _saved(checkpoint: pathlib.Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the parameters of a checkpoint, without reading them."""
    import orbax.checkpoint as ocp

    handler: Any = ocp.StandardCheckpointHandler()  # Its type asks for another Path.
    found = handler.metadata(checkpoint.absolute() / "state")
    return _parameters(found["params"])


def _parameters(tree: Any) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): tuple(leaf.shape) for path, leaf in leaves}
