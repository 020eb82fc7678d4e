"""scikit-learn's own checks of an estimator."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from ocjax import Detector

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning"),
    # scikit-learn scores by labels 0 and 1, of classes.
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning"),
]

DETECTOR = Detector(  # What it does with images is the same for every method.
    "autoencoder",
    hyper={"latent": 3, "features": 2},
    value_range="training",
    epochs=1,
    batch_size=8,
    contamination=0.1,
    random_state=0,
)


@parametrize_with_checks([DETECTOR])
def test_the_estimator_does_what_scikit_learn_asks(estimator, check):
    check(estimator)
