"""Bounds of the values of fields: one table, read wherever values come in."""

import contextlib
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ocjax._checks import InputError, one_of
from ocjax.data import fitting

# Names of the types of fields in messages.
KINDS = {bool: "True or False", int: "a whole number", float: "a number", str: "text"}
LARGEST = 2**31 - 1  # Largest whole number that devices count.


class Range(NamedTuple):
    """Numbers that a field may have."""

    least: float
    most: float = LARGEST
    within: bool = False  # Whether the ends themselves are excluded.

    def allows(self, value: Any) -> bool:
        """Whether a number is in the range; NaN never is."""
        if self.within:
            return self.least < value < self.most
        return self.least <= value <= self.most

    def rule(self, value: Any = None) -> str:
        """Rule that a number must meet, such as "at least 1", or "at most 9"."""
        if self.within:
            return f"between {self.least} and {self.most}"
        if value is not None and value > self.most:
            return f"at most {self.most}"
        return f"at least {self.least}"

    def phrase(self, kind: str, value: Any = None) -> str:
        """Rule with the name of the type, such as "a whole number of at least 1"."""
        return f"{kind} {'' if self.within else 'of '}{self.rule(value)}"


class Words(NamedTuple):
    """Words that a field may have."""

    choices: tuple[str, ...]
    several: bool = False  # Whether a value is any number of them, blanks between.


Bound = Range | Words
SHARE = Range(0, 1, within=True)
# Kinds of synthetic anomalies, as `evaluation.synthetic` has them.
KINDS_OF_DAMAGE = (
    "erased", "pasted", "jigsaw", "rotated", "scarred", "noisy", "blended",
)  # fmt: skip
SEED = Range(0, 2**32 - 1)  # Others have the random numbers of one of these.
# Fields of `RunConfig` and `Execution` whose values are bounded.
BOUNDS: Mapping[str, Bound] = {
    "image_size": Range(0),
    "fit": Words(fitting.FITS),
    "split_seed": Range(0),
    "validation_fraction": SHARE,
    "augment": Words(("crop", "flip"), several=True),
    "tile": Range(0),
    "tile_overlap": Range(0),
    "tile_reduction": Words(("max", "mean")),
    "score_from": Words(("method", "map")),
    "epochs": Range(0),
    "steps": Range(0),
    "until": Words(("end", "converged")),
    "schedule": Words(("constant", "cosine", "decay")),
    "warmup_steps": Range(0),
    "decay_factor": SHARE,
    "decay_every": SHARE,
    "average": Range(0, 0.99999),
    "batch_size": Range(1),
    "precision": Words(("float32", "bfloat16")),
    "seeds": Range(1, 10_000),
    "select_by": Words(("", *KINDS_OF_DAMAGE, "mean")),
    "false_positive_rate": SHARE,
    "paper_code.batch_statistics": Words(("", "shuffled", "ordered")),
    "paper_code.best_epoch": Words(("", "test", "test_part")),
    "models_at_once": Range(0),
    "devices": Range(0),
    "memory_budget_mb": Range(0),
    "checkpoint_seconds": Range(0),
    "checkpoint_epochs": Range(0),
    "log_every": Range(1),
}


def of_hyper(default: Any) -> Bound | None:
    """Bound of a method's field: whole numbers are sizes or counts.

    They are 0 only where that is the default.
    """
    return Range(min(1, default)) if type(default) is int else None


def check(name: str, value: Any, bound: Bound | None) -> None:
    """Checks a value that has its field's type.

    Args:
      name: name of the field, as the user wrote it.
      value: value of the field.
      bound: bound of the field, if it has one.

    Raises:
      InputError: the value is beyond the bound.
    """
    if isinstance(bound, Words):
        for word in value.split() if bound.several else [value]:
            one_of(name, word, bound.choices)
    elif bound is not None and not bound.allows(value):
        raise InputError(f"`{name}` (={value}) must be {bound.rule(value)}.")


def is_of(kind: type, value: Any) -> bool:
    """Whether a value, from a file or a caller, has a field's type."""
    if kind is bool or isinstance(value, bool | np.bool_):
        return kind is bool and isinstance(value, bool | np.bool_)
    if kind is int:
        return isinstance(value, int | np.integer)
    if kind is float:
        with contextlib.suppress(OverflowError):  # Whole numbers may exceed floats.
            number = isinstance(value, int | float | np.integer | np.floating)
            return number and math.isfinite(value)
        return False
    return isinstance(value, kind)


def typed(kind: type, text: str) -> Any:
    """Reads a value of a field's type from a text.

    Raises:
      ValueError: the text is no such value.
    """
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(text)
        return text.lower() == "true"
    value = kind(text)
    if kind is float and not math.isfinite(value):
        raise ValueError(text)
    return value
