"""The plane in which latents are drawn."""

from typing import NamedTuple

import numpy as np


class Plane(NamedTuple):
    """Two orthonormal directions of a latent space, and their origin."""

    origin: np.ndarray  # Latent [D] at the coordinates (0, 0).
    directions: np.ndarray  # Unit vectors [2, D] of the two axes.
    names: tuple[str, str]  # Names of the two axes.

    def project(self, latents: np.ndarray) -> np.ndarray:
        """Coordinates `[N, 2]` of latents `[N, D]`."""
        return (latents - self.origin) @ self.directions.T

    def lift(self, points: np.ndarray) -> np.ndarray:
        """Latents `[N, D]` in the plane at points `[N, 2]`."""
        return self.origin + points @ self.directions


def plane(latents: np.ndarray) -> Plane:
    """Finds the plane of the two first principal components of latents `[N, D]`.

    Latents of two dimensions are their own plane.

    Raises:
      ValueError: latents have fewer than two dimensions.
    """
    dimensions = latents.shape[1]
    if dimensions < 2:
        raise ValueError(f"Expected latents [N, D] with D > 1, got {latents.shape}.")
    if dimensions == 2:
        return Plane(np.zeros(2), np.eye(2), ("z1", "z2"))
    origin = latents.mean(axis=0, dtype=np.float64)
    centred = latents - origin
    variances, vectors = np.linalg.eigh(centred.T @ centred)
    # Rounding leaves tiny negative variances; and equal latents have none at all.
    shares = variances[:-3:-1] / max(variances.clip(0).sum(), 1e-300)
    first, second = (f"principal component {i + 1} ({shares[i]:.0%})" for i in (0, 1))
    return Plane(origin, vectors.T[:-3:-1], (first, second))
