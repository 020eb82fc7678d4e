from . import data as data
from . import evaluation as evaluation
from . import losses as losses
from . import methods as methods
from . import training as training
from .detector import Detector as Detector

__version__: str
