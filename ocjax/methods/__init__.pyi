from .base import Groups as Groups
from .base import Method as Method
from .base import Objective as Objective
from .base import Pass as Pass
from .base import Stage as Stage
from .base import State as State
from .base import Views as Views
from .registry import METHODS as METHODS
