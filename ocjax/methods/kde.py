"""Kernel density: how unlikely an image is among Gaussians around normal ones.

Parzen, "On estimation of a probability density function and mode", 1962. With N
training points x_i of K components and the bandwidth h,

    score(x) = -log mean_i exp(-|x - x_i|^2 / (2 h^2)) + K/2 log(2 pi h^2).

A choice, made without labels: the bandwidth is the likeliest of twenty in five-fold
cross-validation on the training images. The grid is that of the code of Deep SVDD (Ruff
et al., 2018), doubled, as pixels are in [-1, 1] here. At most `JUDGED` images, drawn at
random, are held out in turn.
"""

import dataclasses
import math

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from ocjax import _checks
from ocjax.methods import _pixels, base

BANDWIDTHS = np.logspace(-3.5, 6, 20, base=2)
FOLDS = 5  # Number of parts that training images are divided into.
JUDGED = 2000  # Largest number of images that are held out.
_BLOCK = 256  # Images whose distances to all others are in memory at once.


@dataclasses.dataclass(frozen=True)
class Config:
    """Hyper-parameters; all are choices."""

    bandwidth: float = 0.0  # Standard deviation of a Gaussian; 0 for the likeliest.
    # Share of the variance that principal components keep; 0 for the pixels themselves.
    variance: float = 0.95


def kde(config: Config = Config(), dtype: DTypeLike = jnp.float32) -> base.Method:
    """Builds the method.

    Args:
      config: hyper-parameters.
      dtype: type that images are projected in.

    Returns:
      The method, `_pixels.on_components` of parameters `points` `[N, K]` and
      `bandwidth`.

    Raises:
      InputError: an option of `config` is out of range.
    """
    if config.bandwidth < 0:
        raise _checks.InputError(
            f"`hyper.bandwidth` (={config.bandwidth}) must be at least 0."
        )

    def fit(points, seed):
        bandwidth = config.bandwidth or likeliest(points, seed)
        return {"points": points, "bandwidth": np.float64(bandwidth)}

    def score(params, x):
        points, variance = params["points"], jnp.square(params["bandwidth"])
        exponents = -_pixels.squared_distances(x, points) / (2 * variance)
        largest = exponents.max(1)  # Without it all exponentials may be 0.
        sums = jnp.exp(exponents - largest[:, None]).sum(1)
        constant = x.shape[1] / 2 * jnp.log(2 * math.pi * variance)
        return constant + math.log(len(points)) - largest - jnp.log(sums)

    return _pixels.on_components(
        "kde",
        lambda size: {"points": np.zeros((1, size)), "bandwidth": np.ones(())},
        fit,
        score,
        variance=config.variance,
        dtype=dtype,
    )


def likeliest(points: np.ndarray, seed: int) -> float:
    """Bandwidth under which held-out points are likeliest.

    Args:
      points: training points `[N, K]`, two or more.
      seed: seed of the folds, and of the points that are held out.
    """
    rng = np.random.default_rng(seed)
    folds = rng.permutation(np.arange(len(points)) % FOLDS)
    judged = rng.permutation(len(points))[:JUDGED]
    blocks = np.split(judged, range(_BLOCK, len(judged), _BLOCK))
    likelihoods = sum(_log_likelihoods(points, folds, block) for block in blocks)
    return float(BANDWIDTHS[np.argmax(likelihoods)])


def _log_likelihoods(
    points: np.ndarray, folds: np.ndarray, block: np.ndarray
) -> np.ndarray:
    """Sums over the block of log-densities under the other folds, by bandwidth."""
    from scipy.spatial.distance import cdist
    from scipy.special import logsumexp

    squares = cdist(points[block], points, "sqeuclidean")
    squares[folds[block, None] == folds] = np.inf
    others = np.isfinite(squares).sum(1)
    values = [
        logsumexp(-squares / (2 * h**2), axis=1)
        - points.shape[1] / 2 * np.log(2 * np.pi * h**2)
        - np.log(others)
        for h in BANDWIDTHS
    ]
    return np.sum(values, axis=1)
