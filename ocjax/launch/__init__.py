"""Runs: configuration and data in, a finished run folder out."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ocjax.launch.config import configure as configure
    from ocjax.launch.exits import Stopped as Stopped
    from ocjax.launch.runs import run as run
    from ocjax.launch.table import launch as launch
    from ocjax.launch.table import tasks_of as tasks_of
    from ocjax.launch.task import Task as Task
    from ocjax.launch.task import load as load

_HOMES = {
    "configure": "config",
    "Stopped": "exits",
    "run": "runs",
    "launch": "table",
    "tasks_of": "table",
    "Task": "task",
    "load": "task",
}


def __getattr__(name: str):
    """Imports what is used, when it is: a command that trains nothing starts sooner."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"ocjax.launch.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'ocjax.launch' has no attribute {name!r}")
