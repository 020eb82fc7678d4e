"""Classical detectors to compare with."""

from ocjax.baselines.classical import DETECTORS as DETECTORS
from ocjax.baselines.classical import fit as fit
