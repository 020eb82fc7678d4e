"""Runs: configuration and data in, a finished run folder out."""

from ocjax.launch.config import configure as configure
from ocjax.launch.record import Stopped as Stopped
from ocjax.launch.runs import run as run
from ocjax.launch.table import launch as launch
from ocjax.launch.table import tasks_of as tasks_of
from ocjax.launch.task import Task as Task
from ocjax.launch.task import load as load
