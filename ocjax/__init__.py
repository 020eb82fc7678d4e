"""One-class image anomaly detection in JAX.

Train on normal images only, score anything, know when to trust the score.
"""

from ocjax import data as data
from ocjax import evaluation as evaluation
from ocjax import losses as losses
from ocjax import methods as methods
from ocjax import training as training
