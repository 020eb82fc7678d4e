"""Methods by name; each is one file with a `Config` and a builder."""

from ocjax.methods import autoencoder as _autoencoder
from ocjax.methods import caent as _caent
from ocjax.methods import ganomaly as _ganomaly
from ocjax.methods import ics as _ics
from ocjax.methods import lrgdan as _lrgdan
from ocjax.methods import skip_ganomaly as _skip_ganomaly
from ocjax.methods.base import Groups as Groups
from ocjax.methods.base import Method as Method
from ocjax.methods.base import Objective as Objective
from ocjax.methods.base import Stage as Stage
from ocjax.methods.base import State as State
from ocjax.methods.base import Views as Views

# name -> (its Config, its builder)
METHODS = {
    "lrgdan": (_lrgdan.Config, _lrgdan.lrgdan),
    "caent": (_caent.Config, _caent.caent),
    "ics": (_ics.Config, _ics.ics),
    "ganomaly": (_ganomaly.Config, _ganomaly.ganomaly),
    "skip_ganomaly": (_skip_ganomaly.Config, _skip_ganomaly.skip_ganomaly),
    "autoencoder": (_autoencoder.Config, _autoencoder.autoencoder),
}
