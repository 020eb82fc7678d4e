"""Methods by name; each is one file with a `Config` and a builder."""

from ocjax.methods import ganomaly as _ganomaly
from ocjax.methods.base import Method as Method
from ocjax.methods.base import Objective as Objective
from ocjax.methods.base import State as State

# name -> (its Config, its builder)
METHODS = {"ganomaly": (_ganomaly.Config, _ganomaly.ganomaly)}
