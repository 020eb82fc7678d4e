"""Checks of a detector's parameters, in the names that its users know."""

import contextlib
import dataclasses
import math
import numbers
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ocjax import methods
from ocjax._checks import InputError, one_of
from ocjax.detector.inputs import TRAINING
from ocjax.runs.config import AUGMENTATIONS

HYPER = "hyper__"
MOST = 2**32 - 1  # The largest seed.
_LEAST = {"epochs": 1, "batch_size": 1, "image_size": 1, "tile": 0}


def check(parameters: Mapping[str, Any]) -> None:
    """Checks the parameters of a detector.

    Args:
      parameters: by name, with `hyper` as fields of the method's `Config`.

    Raises:
      InputError: one of them cannot be used; the message names it.
    """
    _check_text("method", parameters["method"])
    one_of("method", parameters["method"], methods.METHODS)
    for name, least in _LEAST.items():
        _check_whole(name, parameters[name], least)
    for name in ("validation_fraction", "false_positive_rate"):
        if not _is_number(parameters[name]) or not 0 < parameters[name] < 1:
            raise wrong(name, parameters[name], "must be between 0 and 1")
    _check_sizes(parameters["image_size"], parameters["tile"])
    _check_text("augment", parameters["augment"])
    for kind in parameters["augment"].split():
        one_of("augment", kind, AUGMENTATIONS)
    _check_contamination(parameters["contamination"])
    _check_shape(parameters["image_shape"])
    _check_range(parameters["value_range"])
    _check_seed(parameters["random_state"])
    _check_hyper(parameters["method"], parameters["hyper"], list(parameters))


@contextlib.contextmanager
def own_names() -> Iterator[None]:
    """Rewords errors about fields of a run, as in `config.hyper.latent`."""
    try:
        yield
    except InputError as error:
        text = re.sub(r"\b(?:config\.)?hyper\.(?=\w)", HYPER, str(error))
        raise InputError(re.sub(r"\bconfig\.(?=\w)", "", text)) from error


def _check_sizes(size: int, tile: int) -> None:
    name, side = ("tile", tile) if tile else ("image_size", size)
    if side % 32 or (side // 32) & (side // 32 - 1):
        raise wrong(name, side, "must be 32, 64, 128 or a larger power of two")
    if tile > size:
        raise wrong("tile", tile, f"must not exceed `image_size` (={size})")


def _check_contamination(value: Any) -> None:
    rule = "must be 'auto' or in (0, 0.5]"
    if isinstance(value, str) and value == "auto":
        return
    if isinstance(value, str) or not _is_number(value) or not 0 < value <= 0.5:
        raise wrong("contamination", value, rule)


def _check_shape(value: Any) -> None:
    if value is None:
        return
    sides = list(value) if isinstance(value, tuple | list | np.ndarray) else []
    whole = all(_is_whole(side) and side > 0 for side in sides)
    if not whole or len(sides) not in (2, 3) or sides[2:] not in ([], [1], [3]):
        raise wrong("image_shape", value, "must be (H, W), or (H, W, C) with C 1 or 3")


def _check_range(value: Any) -> None:
    if value is None or (isinstance(value, str) and value == TRAINING):
        return
    ends = list(value) if isinstance(value, tuple | list) else []
    finite = all(_is_number(end) and math.isfinite(end) for end in ends)
    if len(ends) != 2 or not finite or not ends[0] < ends[1]:
        rule = f"must be {TRAINING!r} or (black, white), two finite numbers that rise"
        raise wrong("value_range", value, rule)


def _check_seed(value: Any) -> None:
    if value is None or isinstance(value, np.random.RandomState):
        return
    if not _is_whole(value) or not 0 <= value <= MOST:
        rule = f"must be a whole number from 0 to {MOST}, a RandomState or None"
        raise wrong("random_state", value, rule)


def _check_hyper(method: str, given: Mapping[str, Any], own: list[str]) -> None:
    """Checks fields against the kinds of their defaults."""
    standard = dataclasses.asdict(methods.METHODS[method][0]())
    for name, value in given.items():
        if name not in standard:
            names = [*own, *(HYPER + known for known in standard)]
            one_of("parameter of Detector", HYPER + str(name), names)
        default, name = standard[name], HYPER + name
        kind = type(default)
        if kind is int:
            _check_whole(name, value, min(1, default))
        elif kind is float:
            _check_number(name, value)
        elif kind is str:
            _check_text(name, value)
        elif kind is bool and not isinstance(value, bool | np.bool_):
            raise wrong(name, value, "must be True or False")


def _check_whole(name: str, value: Any, least: int) -> None:
    if not _is_whole(value) or value < least:
        raise wrong(name, value, f"must be a whole number of at least {least} (an int)")


def _check_number(name: str, value: Any) -> None:
    if not _is_number(value) or not math.isfinite(value):
        raise wrong(name, value, "must be a finite number")


def _check_text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        raise wrong(name, value, "must be a string")


def _is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def wrong(name: str, value: Any, rule: str) -> InputError:
    """The error of a parameter whose value breaks a rule, such as "must be ..."."""
    text = " ".join(repr(value).split())
    text = text if len(text) <= 60 else f"{text[:57]}..."
    return InputError(f"`{name}` (={text}) {rule}.")
