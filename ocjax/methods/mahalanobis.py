"""Mahalanobis distance: how far an image is from the mean, in standard deviations.

The score is the squared distance (x - m)^T C^-1 (x - m). The covariance C is that of
Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance
matrices", 2004: the training images' own, shrunk towards a multiple of the identity by
as much as their number says. That it is of principal components is a choice.
"""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from ocjax.methods import _moments, _pixels, base


@dataclasses.dataclass(frozen=True)
class Config:
    """Hyper-parameters; all are choices."""

    # Share of the variance that principal components keep; 0 for the pixels themselves.
    variance: float = 0.95


def mahalanobis(
    config: Config = Config(), dtype: DTypeLike = jnp.float32
) -> base.Method:
    """Builds the method.

    Args:
      config: hyper-parameters.
      dtype: type that images are projected in.

    Returns:
      The method, `_pixels.on_components` of the parameter `factor` `[K, K]`, F with
      F F^T = C^-1.

    Raises:
      InputError: an option of `config` is out of range.
    """

    def fit(points, seed):
        from sklearn.covariance import LedoitWolf

        del seed
        model = LedoitWolf(assume_centered=True).fit(points)
        values, vectors = np.linalg.eigh(model.covariance_)
        return {"factor": _moments.inverse_root(values, vectors, _pixels.ROUNDING)}

    def score(params, x):
        return jnp.square(_pixels.product(x, params["factor"])).sum(1)

    return _pixels.on_components(
        "mahalanobis",
        lambda size: {"factor": np.zeros((size, size))},
        fit,
        score,
        variance=config.variance,
        dtype=dtype,
    )
