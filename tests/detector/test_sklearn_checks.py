"""scikit-learn's own checks of an estimator."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from ocjax import Detector

pytestmark = [
    pytest.mark.xdist_group("detector"),  # They share compiled programs.
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning"),
    # scikit-learn scores by labels 0 and 1, of classes.
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning"),
]

DETECTORS = [
    Detector(
        method,
        hyper={"latent": 3, "features": 2},
        value_range="training",
        epochs=1,
        batch_size=8,
        contamination=0.1,
        random_state=0,
    )
    for method in ("autoencoder", "ganomaly")
]


@parametrize_with_checks(DETECTORS)
def test_the_estimator_does_what_scikit_learn_asks(estimator, check):
    check(estimator)
