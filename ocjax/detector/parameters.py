"""Checks of a detector's parameters, by the names that its users know."""

import contextlib
import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ocjax import methods
from ocjax._checks import InputError, one_of
from ocjax.detector.inputs import TRAINING
from ocjax.runs import bounds
from ocjax.runs.config import SMALL, RunConfig

HYPER = "hyper__"
# Names of the types of parameters in messages.
_KINDS = {
    bool: "True or False",
    int: "a whole number",
    float: "a finite number",
    str: "a string",
}


def check(parameters: Mapping[str, Any]) -> None:
    """Checks the parameters of a detector.

    Args:
      parameters: values by name, with `hyper` as fields of the method's `Config`.

    Raises:
      InputError: a value cannot be used; the message names the parameter.
    """
    for field in dataclasses.fields(RunConfig):
        if field.name in parameters:
            value, bound = parameters[field.name], bounds.BOUNDS.get(field.name)
            _check_field(field.name, value, type(field.default), bound)
    fit, bound = parameters["image_fit"], bounds.BOUNDS["fit"]
    _check_field("image_fit", fit, str, bound)
    one_of("method", parameters["method"], methods.METHODS)
    _check_contamination(parameters["contamination"])
    _check_shape(parameters["image_shape"])
    _check_range(parameters["value_range"])
    _check_seed(parameters["random_state"])
    _check_hyper(parameters["method"], parameters["hyper"], list(parameters))
    _check_sizes(parameters)


@contextlib.contextmanager
def detector_names() -> Iterator[None]:
    """Rewords errors about fields of a run, such as `config.hyper.latent`."""
    try:
        yield
    except InputError as error:
        text = re.sub(r"\b(?:config\.)?hyper\.(?=\w)", HYPER, str(error))
        raise InputError(re.sub(r"\bconfig\.(?=\w)", "", text)) from error


def side(parameters: Mapping[str, Any]) -> int:
    """Side that images are brought to, where `image_size` leaves it open too.

    Args:
      parameters: values by name, with `hyper` as fields of the method's `Config`.
    """
    config, _ = methods.METHODS[parameters["method"]]
    default = parameters["hyper"].get("size", getattr(config, "size", SMALL))
    return parameters["image_size"] or default


def _check_sizes(parameters: Mapping[str, Any]) -> None:
    tile, size = parameters["tile"], side(parameters)
    name, side_seen = ("tile", tile) if tile else ("image_size", size)
    config, _ = methods.METHODS[parameters["method"]]
    resizes = hasattr(config, "size")  # Methods on frozen networks do.
    if not resizes and (side_seen % 32 or side_seen & (side_seen - 1)):
        raise wrong(name, side_seen, "must be 32, 64, 128 or a larger power of two")
    if tile > size:
        raise wrong("tile", tile, f"must not exceed `image_size` (={size})")


def _check_contamination(value: Any) -> None:
    rule = "must be 'auto' or in (0, 0.5]"
    if isinstance(value, str) and value == "auto":
        return
    if isinstance(value, str) or not bounds.is_of(float, value) or not 0 < value <= 0.5:
        raise wrong("contamination", value, rule)


def _check_shape(value: Any) -> None:
    if value is None:
        return
    sides = list(value) if isinstance(value, tuple | list | np.ndarray) else []
    whole = all(bounds.is_of(int, side) and side > 0 for side in sides)
    if not whole or len(sides) not in (2, 3) or sides[2:] not in ([], [1], [3]):
        raise wrong("image_shape", value, "must be (H, W), or (H, W, C) with C 1 or 3")


def _check_range(value: Any) -> None:
    if value is None or (isinstance(value, str) and value == TRAINING):
        return
    ends = list(value) if isinstance(value, tuple | list) else []
    finite = all(bounds.is_of(float, end) for end in ends)
    if len(ends) != 2 or not finite or not ends[0] < ends[1]:
        rule = f"must be {TRAINING!r} or (black, white), two finite numbers that rise"
        raise wrong("value_range", value, rule)


def _check_seed(value: Any) -> None:
    if value is None or isinstance(value, np.random.RandomState):
        return
    if not bounds.is_of(int, value) or not bounds.SEED.allows(value):
        most = bounds.SEED.most
        rule = f"must be a whole number from 0 to {most}, a RandomState or None"
        raise wrong("random_state", value, rule)


def _check_hyper(method: str, fields: Mapping[str, Any], names: list[str]) -> None:
    """Checks fields against the types of their defaults."""
    defaults = dataclasses.asdict(methods.METHODS[method][0]())
    for name, value in fields.items():
        if name not in defaults:
            expected = [*names, *(HYPER + field for field in defaults)]
            one_of("parameter of Detector", HYPER + str(name), expected)
        default = defaults[name]
        _check_field(HYPER + name, value, type(default), bounds.of_hyper(default))


def _check_field(name: str, value: Any, kind: type, bound: bounds.Bound | None) -> None:
    """Checks a field of a run or a method."""
    if kind not in _KINDS:
        return
    valid, expected = bounds.is_of(kind, value), _KINDS[kind]
    if isinstance(bound, bounds.Range):
        expected = bound.phrase(expected, value if valid else None)
        valid = valid and bound.allows(value)
    if not valid:
        note = " (an int)" if kind is int else ""  # The value may be 32.0.
        raise wrong(name, value, f"must be {expected}{note}")
    bounds.check(name, value, bound)


def wrong(name: str, value: Any, rule: str) -> InputError:
    """Error of a parameter whose value breaks a rule, such as "must be ..."."""
    text = " ".join(repr(value).split())
    text = text if len(text) <= 60 else f"{text[:57]}..."
    return InputError(f"`{name}` (={text}) {rule}.")
