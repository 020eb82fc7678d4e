"""Pictures of a folder, and the choice of those that test."""

import os
import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ocjax._checks import InputError

GOOD = "good"


class Entry(NamedTuple):
    """A picture."""

    path: pathlib.Path
    kind: str  # `GOOD`, or a kind of anomaly.
    test: bool | None  # Whether it tests; None where nothing says so.
    group: str = ""  # Object that it shows; "" for one of its own.
    mask: pathlib.Path | None = None


def place(root: pathlib.Path, path: pathlib.Path) -> str:
    """Path relative to the root if below it, else in full, with slashes.

    It does not depend on how the root is spelled.
    """
    for whole in (os.path.abspath, os.path.realpath):
        full, start = pathlib.Path(whole(path)), whole(root)
        if full.is_relative_to(start):
            return full.relative_to(start).as_posix()
    return pathlib.Path(os.path.realpath(path)).as_posix()


def training_first(root: pathlib.Path, entries: Sequence[Entry]) -> list[Entry]:
    """Decides which entries test; returns those that train first, sorted.

    Of the good ones of which nothing says so a fifth tests, in whole groups, drawn with
    the constant seed 0. A decision about one picture holds for its group.

    Raises:
      InputError: good pictures of one group are said to train and to test.
    """
    stated = _stated(entries)
    places = {entry.path: place(root, entry.path) for entry in entries}
    entries = [
        e._replace(test=stated.get(e.group)) if e.test is None else e for e in entries
    ]
    unit = lambda entry: entry.group or places[entry.path]
    units = sorted({unit(entry) for entry in entries if entry.test is None})
    order = np.random.default_rng(0).permutation(len(units))
    tests = {units[i] for i in order[: max(1, len(units) // 5)]}
    decided = [
        e._replace(test=unit(e) in tests) if e.test is None else e for e in entries
    ]
    return sorted(decided, key=lambda e: (bool(e.test), places[e.path]))


def _stated(entries: Sequence[Entry]) -> dict[str, bool]:
    """Map of groups to whether they test, as stated of one of their good pictures."""
    stated = {}
    for entry in entries:
        if entry.group and entry.kind == GOOD and entry.test is not None:
            if stated.setdefault(entry.group, entry.test) != entry.test:
                raise InputError(
                    f"labels.csv: good pictures of group {entry.group!r} train, and "
                    "others test; a group stays on one side. Change `split` or `group`."
                )
    return stated
