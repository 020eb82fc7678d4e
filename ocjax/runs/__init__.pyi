from .config import configure as configure
from .stop import Stopped as Stopped
from .table import launch as launch
from .table import tasks_of as tasks_of
from .task import Task as Task
from .task import load as load
from .train import run as run
