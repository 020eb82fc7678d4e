"""Whatever can judge images, by its path."""

import os
import pathlib
import zipfile
from typing import TYPE_CHECKING

from ocjax import _files
from ocjax._checks import InputError
from ocjax.inference.scorer import Card, Scorer, of_method

if TYPE_CHECKING:
    from ocjax.inference.detector_file import Saved
    from ocjax.methods import Method, State


def open(path: str | os.PathLike, false_positive_rate: float | None = None) -> Scorer:
    """The scorer of a run folder, a saved detector or an exported file.

    Args:
      path: of the folder or the file.
      false_positive_rate: for the threshold, instead of the model's own.

    Raises:
      InputError: there is none, it is damaged or of another version, or it cannot
        promise the rate.
    """
    scorer = _opened(_files.local(path, "the model"))
    return scorer if false_positive_rate is None else scorer.at(false_positive_rate)


def _opened(path: pathlib.Path) -> Scorer:
    if path.is_dir():
        from ocjax.inference.run_folder import trained

        return trained(path).scorer
    if not path.exists():
        near = _files.did_you_mean(path)
        raise InputError(f"There is no run folder or model file {path}{near}")
    if not zipfile.is_zipfile(path):
        from ocjax.inference import onnx

        return onnx.load(path)
    from ocjax.inference import archive, stablehlo

    file = archive.read(path)
    if file.kind == stablehlo.KIND:
        return stablehlo.load(file)
    from ocjax.inference import detector_file

    if file.kind == detector_file.KIND:
        found = detector_file.read(file)
        _check_pictures(found, path)
        return of_method(found.card, found.method, found.state)
    raise InputError(f"{path} is a model file of the unknown kind {file.kind!r}.")


def parts(path: str | os.PathLike) -> "tuple[Card, Method, State]":
    """Card, method and state of a run folder or a saved detector, to export them.

    Raises:
      InputError: there is none, it is damaged, or is an exported file already.
    """
    path = _files.local(path, "the model")
    if path.is_dir():
        from ocjax.inference.run_folder import trained

        run = trained(path)
        if not run.finished:
            raise InputError(f"{path} is not finished: start its command again.")
        return run.scorer.card, run.method, run.state
    if not path.exists():
        near = _files.did_you_mean(path)
        raise InputError(f"There is no run folder or saved detector {path}{near}")
    from ocjax.inference import archive, detector_file

    found = detector_file.read(archive.read(path))
    _check_pictures(found, path)
    return found.card, found.method, found.state


def _check_pictures(found: "Saved", path: pathlib.Path) -> None:
    """Raises `InputError` where files of pictures are nothing that trained."""
    told = found.parameters
    rows = len(found.fitted["shape_"]) == 1 and told["image_shape"] is None
    ranged = found.fitted["range_"] is not None  # Not where uint8 images trained.
    if rows or (told["value_range"] == "training" and ranged):
        what = "rows of numbers" if rows else 'numbers, with value_range="training"'
        raise InputError(
            f"{path} was fitted on {what}, and cannot judge pictures: load it by "
            "ocjax.Detector.load."
        )
