"""A detector that trains in no time, and images for it."""

import numpy as np

from ocjax import Detector

TINY = {
    "hyper": {"latent": 3, "features": 2},
    "epochs": 1,
    "batch_size": 8,
    "false_positive_rate": 0.2,
    "validation_fraction": 0.25,
    "random_state": 0,
}
IMAGES = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 1), np.uint8)


def detector(**changes):
    return Detector("autoencoder", **{**TINY, **changes})
