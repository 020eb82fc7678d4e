"""Checks that public functions make of their arguments, and the error they raise."""

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import jax

_WORSE = 0.2  # Gap of difflib's ratio to the nearest name, past which none is named.


class InputError(ValueError):
    """Error for what a user gave and cannot be used; the message says what would do."""


def same_shape(**arrays: "jax.Array") -> None:
    """Raises `ValueError` unless all arrays have one shape."""
    shapes = {name: np.shape(array) for name, array in arrays.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"Expected equal shapes, got {shapes}.")


def floating(**arrays: "jax.Array") -> None:
    """Raises `TypeError` unless all arrays are floating point."""
    import jax.numpy as jnp  # Here, so that exported files are scored without it.

    for name, array in arrays.items():
        dtype = jnp.result_type(array)
        if not jnp.issubdtype(dtype, jnp.floating):
            raise TypeError(f"Expected `{name}` to be floating point, got {dtype}.")


def one_of(name: str, value: str, choices: Iterable[str]) -> str:
    """Returns `value` if it is among `choices`, else raises with the nearest names."""
    choices = list(choices)
    if value in choices:
        return value
    raise InputError(
        f"Unknown {name} {value!r}: expected one of {', '.join(choices)}"
        f"{did_you_mean(value, choices)}"
    )


def did_you_mean(value: str, choices: Iterable[str]) -> str:
    """End of a sentence: "; did you mean 'a' or 'b'?", or "." if no choice is near."""
    names = nearest(value, choices)
    return f"; did you mean {' or '.join(map(repr, names))}?" if names else "."


def nearest(value: str, choices: Iterable[str], cutoff: float = 0.5) -> list[str]:
    """Returns up to three choices that a value may misspell, the nearest first.

    Upper case is near lower case, and "a.b" is near "b".
    """
    spellings: dict[str, str] = {}
    for choice in choices:
        for spelling in (choice, choice.rpartition(".")[2] or choice):
            spellings.setdefault(spelling.lower(), choice)
    likeness = lambda word: difflib.SequenceMatcher(None, value.lower(), word).ratio()
    ratios = {spelling: likeness(spelling) for spelling in spellings}
    least = max(cutoff, max(ratios.values(), default=0) - _WORSE)
    near = sorted((s for s in ratios if ratios[s] >= least), key=lambda s: -ratios[s])
    return list(dict.fromkeys(spellings[spelling] for spelling in near))[:3]
