"""One-class image anomaly detection in JAX.

Train on normal images only, score anything, know when to trust the score.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ocjax import data as data
    from ocjax import evaluation as evaluation
    from ocjax import losses as losses
    from ocjax import methods as methods
    from ocjax import training as training
    from ocjax.detector import Detector as Detector

__version__ = "0.1.0"

_MODULES = ("data", "evaluation", "losses", "methods", "training")


def __getattr__(name: str):
    """Imports what is used, when it is: JAX and scikit-learn take seconds."""
    if name in _MODULES:
        return importlib.import_module(f"ocjax.{name}")
    if name == "Detector":
        return importlib.import_module("ocjax.detector").Detector
    raise AttributeError(f"module 'ocjax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*_MODULES, "Detector", "__version__"]
