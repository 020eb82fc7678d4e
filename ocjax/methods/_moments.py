"""Means and products of many vectors, added up a batch at a time.

For float32 to be enough, a batch b of n_b vectors is centred on its own mean m_b and
merged into what came before (Chan, Golub and LeVeque, 1979, "Updating formulae and a
pairwise algorithm for computing sample variances", for products as for squares):

    d = m_b - m,    m <- m + d n_b / (n + n_b),
    P <- P + sum (x - m_b)(x - m_b)^T + d d^T n n_b / (n + n_b).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from ocjax.modules import axis

Sums = dict[str, jax.Array]


def inverse_root(
    values: np.ndarray, vectors: np.ndarray, rounding: float | np.floating
) -> np.ndarray:
    """F with F F^T the inverse C^-1 of a covariance, by its eigenvalues and vectors.

    Directions whose variance is at most `rounding` are left out of both C and C^-1.

    Args:
      values: eigenvalues of C, float64 `[D]`.
      vectors: eigenvectors of C, in columns, `[D, D]`.
      rounding: variance that stands for none.
    """
    varies = values > rounding
    return vectors * varies / np.sqrt(np.where(varies, values, 1.0))


def zeros(shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Sums:
    """Sums of no vectors.

    Args:
      shape: `[..., D]`: vectors of size D, summed up apart for all leading axes.
      dtype: type of the sums.

    Returns:
      Sums "count" `[]`, "mean" `[..., D]` and "products" `[..., D, D]`, about the mean.
    """
    return {
        "count": jnp.zeros((), dtype),
        "mean": jnp.zeros(shape, dtype),
        "products": jnp.zeros((*shape, shape[-1]), dtype),
    }


def added(sums: Sums, x: jax.Array, counts: jax.Array) -> Sums:
    """Sums with those of a batch, on all devices that share it.

    Args:
      sums: sums before the batch.
      x: vectors, shape `[B, ..., D]`.
      counts: whether an image's vectors count, bool `[B]`.
    """
    dtype = sums["mean"].dtype
    x = x.astype(dtype)
    counts = counts.reshape(-1, *[1] * (x.ndim - 1))
    count = axis.total(counts.sum().astype(dtype))
    mean = axis.total(jnp.where(counts, x, 0).sum(0)) / jnp.maximum(count, 1)
    centred = jnp.where(counts, x - mean[None], 0)
    products = axis.total(
        jnp.einsum("b...i,b...j->...ij", centred, centred, precision="highest")
    )
    total = jnp.maximum(sums["count"] + count, 1)
    shift = mean - sums["mean"]
    weight = sums["count"] * count / total
    outer = shift[..., :, None] * shift[..., None, :]
    return {
        "count": sums["count"] + count,
        "mean": sums["mean"] + shift * (count / total),
        "products": sums["products"] + products + weight * outer,
    }
