"""Heatmaps of residuals, and scores by the largest value of a heatmap.

A mean error may call an image normal whose heatmap is bright at one place, and another
anomalous that is nowhere bright. Scored by its heatmap, a verdict is what the picture
shows.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ocjax._checks import InputError
from ocjax.methods.base import Method

BLUR = 1 / 32  # Standard deviation of the smoothing, as a part of the image's side.


def of_reconstruction(reconstruct: Callable) -> Callable:
    """The heatmap of a method that reconstructs: `(state, images) -> [B, S, S]`.

    It is the absolute difference of images and reconstructions, its mean over the
    channels, smoothed.
    """

    def residual(state, images):
        difference = jnp.abs(images - reconstruct(state, images))
        return smooth(difference.mean(-1))

    return residual


def scored_by_map(method: Method) -> Method:
    """The method with the largest value of its heatmap as the score.

    The heatmap is the method's own, or else that of its residuals, and is drawn as
    before. To score tiles so, tile the method first: then the heatmap is that of whole
    pictures.

    Args:
      method: one that reconstructs or has an `anomaly_map`.

    Raises:
      InputError: it does neither.
    """
    anomaly_map = method.anomaly_map
    if anomaly_map is None and method.reconstruct is not None:
        anomaly_map = of_reconstruction(method.reconstruct)
    if anomaly_map is None:
        raise InputError(
            "Scores by the heatmap are for methods that reconstruct or have heatmaps "
            "of their own, of pixels that are not standardized: set config.score_from "
            "to method."
        )
    return method._replace(
        score=lambda state, images: anomaly_map(state, images).max((1, 2)),
        anomaly_map=anomaly_map,
        score_batchwise=None,
    )


def smooth(maps: jax.Array) -> jax.Array:
    """Maps `[B, S, S]` smoothed by a Gaussian of `BLUR` times their side.

    The weights that fall on an image sum to 1, so a constant map stays as it is.
    """
    rows, columns = (_weights(side) for side in maps.shape[1:])
    return jnp.einsum("ij,bjk,lk->bil", rows, maps, columns)


def _weights(side: int) -> jax.Array:
    """`[side, side]`: what each pixel of a line takes from every other."""
    position = jnp.arange(side)
    distance = (position[:, None] - position[None]) / (BLUR * side)
    weights = jnp.exp(-(distance**2) / 2)
    return weights / weights.sum(1, keepdims=True)
