"""Mahalanobis distances of frozen features, summed over a network's levels.

Rippel et al., "Modeling the distribution of normal data in pre-trained deep features
for anomaly detection" (2020, https://arxiv.org/abs/2005.14140). At each level of a
network, features are averaged over places; those of normal pictures have a mean m and a
covariance, shrunk as Ledoit and Wolf (2004) say. A picture is as anomalous as the sum
over levels of

    sqrt((x - m)^T C^-1 (x - m)),   C = (1 - a) S + a (tr S / D) I,
    a = min(1, b / d),   d = |S - (tr S / D) I|^2,   b = (sum |y|^4 / n - |S|^2) / n,

y = x - m, |.|^2 the sum of squares. Levels are the maps that the stages of
EfficientNet-Lite0 end in, and the last one of all; the paper has those of
EfficientNet-B4.

Features x are the mean of those at places, x_p, so a distance d is the mean over places
of (x_p - m)^T C^-1 (x - m) / d. The heatmap is the sum over levels of these, those
above 0.
"""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from ocjax.methods import _frozen, _moments, base
from ocjax.modules import axis

# Variance added to all features, so that pictures that are all alike have a distance.
FLOOR = 1e-6
_MOMENTS = "count", "mean", "products"


@dataclasses.dataclass(frozen=True)
class Config(_frozen.Config):
    """Hyper-parameters: the network's alone."""


def mahalanobis_features(
    config: Config = Config(),
    dtype: DTypeLike = jnp.float32,
) -> base.Method:
    """Builds the method for images `[B, S, S, C]` of any size.

    Args:
      config: hyper-parameters.
      dtype: float32, which frozen networks compute in.

    Returns:
      The method; it has one pass. Its parameters `mahalanobis_features` are, for each
      level, `mean` `[D]` and `factor` `[D, D]`, the inverse of the covariance's
      Cholesky factor.

    Raises:
      InputError: the network or its weights are missing.
    """
    frozen = _frozen.Frozen(config, dtype)
    sizes = _frozen.levels(frozen.backbone.features)

    def init(key, images):
        del key, images
        return {
            name: {"mean": jnp.zeros(size), "factor": jnp.zeros((size, size))}
            for name, size in sizes.items()
        }

    def start(state, shape, count):
        del state, shape, count
        return {name: zeros(size) for name, size in sizes.items()}

    def add(state, sums, images, numbers):
        del state
        maps = frozen.features(images, list(sizes))
        return {
            name: added(sums[name], maps[name].mean((1, 2)), numbers >= 0)
            for name in sizes
        }

    def finish(params, sums):
        del params
        return {
            name: {
                "mean": sums[name]["mean"],
                "factor": inverse_factor(sums[name]).astype(np.float32),
            }
            for name in sizes
        }

    def score(state, x):
        params = state.params["mahalanobis_features"]
        maps = frozen.features(x, list(sizes))
        return sum(
            distance(maps[name].mean((1, 2)), **params[name])[0] for name in sizes
        )

    def anomaly_map(state, x):
        params = state.params["mahalanobis_features"]
        maps, total = frozen.features(x, list(sizes)), 0
        for name in sizes:
            centred = maps[name] - params[name]["mean"][None, None, None]
            _, slope = distance(maps[name].mean((1, 2)), **params[name])
            parts = jnp.einsum("bijd,bd->bij", centred, slope, precision="highest")
            total += _frozen.heatmaps(jnp.maximum(parts, 0), x.shape[1])
        return total

    return base.of_one_pass(
        "mahalanobis_features",
        init=init,
        start=start,
        add=add,
        finish=finish,
        score=score,
        anomaly_map=anomaly_map,
        weights=frozen.version,
    )


def distance(
    x: jax.Array, mean: jax.Array, factor: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Mahalanobis distances d `[B]` of features x `[B, D]`, and C^-1 (x - m) / d."""
    whitened = jnp.einsum("ij,bj->bi", factor, x - mean[None], precision="highest")
    distances = _frozen.root((whitened**2).sum(-1))
    slope = jnp.einsum("ij,bi->bj", factor, whitened, precision="highest")
    return distances, slope / distances[:, None]


def zeros(size: int) -> _moments.Sums:
    """Sums of no vectors: moments, and sums of |y|^2 y and |y|^4 about the mean."""
    higher = {"cubes": jnp.zeros(size), "fourths": jnp.zeros(())}
    return _moments.zeros((size,)) | higher


def added(sums: _moments.Sums, x: jax.Array, counts: jax.Array) -> _moments.Sums:
    """Sums with those of a batch `[B, D]`, of vectors that count."""
    batch = _moments.added(_moments.zeros(x.shape[1:]), x, counts)
    centred = jnp.where(counts[:, None], x - batch["mean"][None], 0)
    squares = (centred**2).sum(1)
    batch["cubes"] = axis.total((squares[:, None] * centred).sum(0))
    batch["fourths"] = axis.total((squares**2).sum())
    merged = _moments.added({name: sums[name] for name in _MOMENTS}, x, counts)
    parts = [about(part, merged["mean"]) for part in (sums, batch)]
    return merged | jax.tree.map(jnp.add, *parts)


def about(sums: _moments.Sums, centre: jax.Array) -> _moments.Sums:
    """Sums of |y|^2 y and |y|^4 of the same vectors about another centre.

    With shift s = centre - mean, P the products and t their trace:

        sum |y - s|^4 = sum |y|^4 + 4 s^T P s + n |s|^4 - 4 s^T sum |y|^2 y + 2 |s|^2 t,
        sum |y - s|^2 (y - s) = sum |y|^2 y - t s - 2 P s - n |s|^2 s.
    """
    shift = centre - sums["mean"]
    square, trace = (shift**2).sum(), jnp.trace(sums["products"])
    product = jnp.matmul(sums["products"], shift, precision="highest")
    fourths = sums["fourths"] + 4 * (shift * product).sum() + sums["count"] * square**2
    fourths += 2 * square * trace - 4 * (shift * sums["cubes"]).sum()
    factor = trace + sums["count"] * square
    return {"cubes": sums["cubes"] - factor * shift - 2 * product, "fourths": fourths}


def inverse_factor(sums: Mapping[str, np.ndarray]) -> np.ndarray:
    """Inverse L^-1 of the factor of the shrunk covariance L L^T, float64 `[D, D]`."""
    count = float(sums["count"])
    covariance = sums["products"].astype(np.float64) / count
    size = len(covariance)
    identity = np.trace(covariance) / size * np.eye(size)
    difference = ((covariance - identity) ** 2).sum()
    noise = (float(sums["fourths"]) / count - (covariance**2).sum()) / count
    part = min(1.0, max(noise, 0.0) / difference) if difference > 0 else 1.0
    shrunk = (1 - part) * covariance + part * identity + FLOOR * np.eye(size)
    return np.linalg.inv(np.linalg.cholesky(shrunk))
