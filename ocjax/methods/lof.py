"""Local outlier factor: how much sparser an image lies than its neighbours do.

Breunig, Kriegel, Ng and Sander, "LOF: identifying density-based local outliers", 2000.
With N(x) the k nearest training images of x, and k-distance(o) the distance of o to its
own k-th neighbour,

    reach(x, o) = max(k-distance(o), |x - o|)                        (definition 5)
    lrd(x) = 1 / mean of reach(x, o) over o in N(x)                  (definition 6)
    score(x) = mean of lrd(o) / lrd(x) over o in N(x)                (definition 7)

A choice: k-distances of training images are at least a ten-thousandth of their mean, so
that images of which there are more than k copies have a finite density.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from ocjax.methods import _pixels, base

FLOOR = 1e-4  # Least k-distance, as a part of the mean one.
ALIKE = 1e-10  # Least k-distance where all are 0, as scikit-learn has it.


@dataclasses.dataclass(frozen=True)
class Config:
    """Hyper-parameters; all are choices."""

    neighbours: int = 20  # Number of nearest training images, k.
    # Share of the variance that principal components keep; 0 for the pixels themselves.
    variance: float = 0.95


def lof(config: Config = Config(), dtype: DTypeLike = jnp.float32) -> base.Method:
    """Builds the method.

    Args:
      config: hyper-parameters.
      dtype: type that images are projected in.

    Returns:
      The method, `_pixels.on_components` of parameters `points` `[N, K]`, their
      k-distances `reach` and their lrd `densities`, `[N]`.

    Raises:
      InputError: an option of `config` is out of range.
    """
    k = config.neighbours
    _pixels.check_positive("neighbours", k)

    def placeholders(size):
        lengths = {"reach": np.zeros(k), "densities": np.zeros(k)}
        return {"points": np.zeros((k, size)), **lengths}

    def fit(points, seed):
        from sklearn.neighbors import NearestNeighbors

        del seed
        # A training point is no neighbour of its own.
        distances, numbers = NearestNeighbors(n_neighbors=k).fit(points).kneighbors()
        reach = distances[:, -1]
        reach = np.maximum(reach, max(FLOOR * reach.mean(), ALIKE))
        densities = 1 / np.maximum(reach[numbers], distances).mean(1)
        return {"points": points, "reach": reach, "densities": densities}

    def score(params, x):
        numbers, distances = _pixels.nearest(x, params["points"], k)
        reach = jnp.maximum(_pixels.rows_of(params["reach"], numbers), distances)
        densities = _pixels.rows_of(params["densities"], numbers)
        return densities.mean(1) * reach.mean(1)

    return _pixels.on_components(
        "lof",
        placeholders,
        fit,
        score,
        variance=config.variance,
        dtype=dtype,
        least=k + 1,
        reason=f" (`hyper.neighbours` is {k})",
    )
