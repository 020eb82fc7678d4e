"""Nearest neighbours: the mean distance to the nearest training images.

Ramaswamy, Rastogi and Shim, "Efficient algorithms for mining outliers from large data
sets", 2000, rank by the distance to the k-th neighbour; the mean over all k is that of
Angiulli and Pizzuti, "Fast outlier detection in high dimensional spaces", 2002.
Distances are Euclidean.

A choice, made without labels: all pixels are compared. Principal components keep the
directions in which normal images differ, and what is anomalous may lie in the others.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from ocjax.methods import _pixels, base


@dataclasses.dataclass(frozen=True)
class Config:
    """Hyper-parameters; all are choices."""

    neighbours: int = 5  # Number of nearest training images.
    # Share of the variance that principal components keep; 0 for the pixels themselves.
    variance: float = 0.0


def knn(config: Config = Config(), dtype: DTypeLike = jnp.float32) -> base.Method:
    """Builds the method.

    Args:
      config: hyper-parameters.
      dtype: type that images are projected in, with `variance`.

    Returns:
      The method, `_pixels.on_components` of parameters `points` `[N, K]`.

    Raises:
      InputError: an option of `config` is out of range.
    """
    _pixels.check_positive("neighbours", config.neighbours)

    def fit(points, seed):
        del seed
        return {"points": points}

    def score(params, x):
        _, distances = _pixels.nearest(x, params["points"], config.neighbours)
        return distances.mean(1)

    return _pixels.on_components(
        "knn",
        lambda size: {"points": np.zeros((config.neighbours, size))},
        fit,
        score,
        variance=config.variance,
        dtype=dtype,
        least=config.neighbours,
        reason=f" (`hyper.neighbours` is {config.neighbours})",
    )
