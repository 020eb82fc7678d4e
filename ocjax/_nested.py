"""Mappings of mappings, as configurations are."""

from collections.abc import Iterator, Mapping
from typing import Any


def flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Name and value of everything in a tree, "a.b" for what is in its mapping "a"."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
