"""The detector: an estimator for scikit-learn, on arrays, rows or pictures."""

from ocjax.detector.estimator import Detector as Detector
