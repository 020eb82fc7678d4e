"""A fitted detector in one file, written and read without pickle.

The file is a zip archive of a card, as JSON what the detector was told and what it
found in the training data, and the parameters of its networks. Neither reading it nor
scoring with it takes scikit-learn, whose import would be much of a command's start.
"""

import io
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ocjax._checks import InputError
from ocjax._files import local
from ocjax.inference import archive
from ocjax.inference.scorer import Card, check_weights
from ocjax.methods import Method, State
from ocjax.runs.build import build_method
from ocjax.runs.config import parse

KIND = "detector"
# Attributes that `fit` learns of how images come; a detector has the first two always.
FITTED = "shape_", "range_", "n_features_in_", "feature_names_in_"
_PARAMETERS, _STATE = "parameters.json", "state.npz"
# Of a detector's parameters those that a run has too.
CONFIGURED = (
    "method", "hyper", "image_size", "steps", "epochs", "batch_size", "tile",
    "augment", "score_from", "validation_fraction", "false_positive_rate",
)  # fmt: skip


class Saved(NamedTuple):
    """What a file holds."""

    card: Card
    parameters: dict[str, Any]  # Of the detector; `hyper` are the fields that differ.
    fitted: dict[str, Any]  # Its attributes that tell how images come.
    method: Method
    state: State  # Without those of the optimizers.


def method_of(parameters: Mapping[str, Any]) -> Method:
    """The method that a detector's parameters tell.

    Raises:
      InputError: one of them cannot be used.
    """
    values = {name: parameters[name] for name in CONFIGURED}
    config, hyper, _ = parse(values | {"hyper": values["hyper"] or {}})
    return build_method(config, hyper, None)


def state_of(params: Any, stats: Any) -> State:
    """A state that scores, and cannot train on."""
    return State(params, stats, {}, jnp.int32(0))


def write(path: str | os.PathLike, saved: Saved) -> pathlib.Path:
    """Writes a file, whole or not at all; returns its path.

    Raises:
      InputError: the path is none of a file on a local disk.
    """
    path = local(path)
    if path.is_dir():
        raise InputError(
            f"Expected the path of a file to write, got the folder {path}."
        )
    said = {"parameters": saved.parameters, "fitted": saved.fitted}
    leaves = jax.tree.leaves((saved.state.params, saved.state.stats))
    content = io.BytesIO()
    np.savez(content, **{str(i): leaf for i, leaf in enumerate(leaves)})
    members = {
        _PARAMETERS: json.dumps(said, default=_plain).encode(),
        _STATE: content.getvalue(),
    }
    return archive.write(path, KIND, saved.card, members)


def opened(path: str | os.PathLike) -> archive.Archive:
    """A model file that is to be a saved detector.

    Raises:
      InputError: there is none, or it is damaged or of another version.
    """
    path = local(path)
    if not path.is_file():
        what = f"{path} is a folder" if path.is_dir() else f"There is no file {path}"
        raise InputError(f"{what}: expected a detector that `Detector.save` wrote.")
    return archive.read(path)


def read(file: archive.Archive) -> Saved:
    """What an opened file holds.

    Raises:
      InputError: it is of another kind, damaged, or of another version.
    """
    if file.kind != KIND:
        raise InputError(
            f"{file.path} is a {file.kind} file, and no saved detector: open it by "
            "ocjax.inference.open."
        )
    try:
        said = json.loads(file.members[_PARAMETERS])
        parameters, fitted = dict(said["parameters"]), _fitted(said["fitted"])
        for name in ("image_shape", "value_range"):
            if isinstance(parameters[name], list):
                parameters[name] = tuple(parameters[name])
        if file.card.threshold is None:
            raise ValueError("no threshold")
        method = _method(file, parameters)
        images = jax.ShapeDtypeStruct((1, *file.card.shape), np.float32)
        like = jax.eval_shape(method.init, jax.random.key(0), images)
        like = like.params, like.stats
        leaves = archive.arrays(file.members[_STATE])
        params, stats = jax.tree.unflatten(jax.tree.structure(like), leaves)
        _check_kinds(method, like, (params, stats))
        scores = jax.eval_shape(method.score, state_of(params, stats), images)
        if scores.shape != (1,):
            raise ValueError(f"scores of shape {scores.shape} of one image")
    except _Weights as error:
        raise InputError(f"{file.path} cannot be opened: {error}") from error
    except Exception as error:  # Of damaged bytes anything may come.
        raise InputError(
            f"{file.path} is damaged, or of another version: {error}"
        ) from error
    return Saved(file.card, parameters, fitted, method, state_of(params, stats))


class _Weights(Exception):
    """Frozen weights are missing, or others."""


def _method(file: archive.Archive, parameters: Mapping[str, Any]) -> Method:
    try:
        method = method_of(parameters)
        check_weights(file.path, file.card.weights, method.weights)
    except InputError as error:
        if file.card.weights:
            raise _Weights(str(error)) from error
        raise
    return method


def _check_kinds(method: Method, like: Any, read: Any) -> None:
    """Raises `ValueError` unless parameters and statistics have the expected shapes.

    What is computed from images may have other shapes than before, of the same rank.
    """

    def kinds(tree):
        params, stats = tree
        free = {name: params[name] for name in method.computes}
        fixed = {name: params[name] for name in params.keys() - free.keys()}
        kind = lambda x: (str(x.dtype), x.shape)
        return (
            jax.tree.map(kind, (fixed, stats)),
            jax.tree.map(lambda x: (str(x.dtype), len(x.shape)), free),
        )

    if kinds(read) != kinds(like):
        raise ValueError("parameters of other networks")


def _fitted(values: Mapping[str, Any]) -> dict[str, Any]:
    """Fitted attributes of a file, as `fit` sets them.

    Raises:
      ValueError: one of them is missing, unknown or of another kind.
    """
    values = dict(values)
    shape, ends = tuple(values.pop("shape_")), values.pop("range_")
    if not 1 <= len(shape) <= 3 or not all(type(n) in (int, type(None)) for n in shape):
        raise ValueError(f"images of shape {shape}")
    low, high = ends or (0, 1)
    fitted = {"shape_": shape, "range_": ends and (float(low), float(high))}
    if (features := values.pop("n_features_in_", None)) is not None:
        fitted["n_features_in_"] = int(features)
    if (names := values.pop("feature_names_in_", None)) is not None:
        fitted["feature_names_in_"] = np.array([str(name) for name in names], object)
    if values:
        raise ValueError(f"unknown attributes {', '.join(values)}")
    return fitted


def _plain(value: Any) -> Any:
    """NumPy's numbers for JSON."""
    return value.item() if isinstance(value, np.generic) else list(value)
