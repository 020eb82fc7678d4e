"""Where in an image a score comes from.

A heatmap has a value of at least 0 for each pixel, larger where it adds more to the
score. Values compare between images of one detector only.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from ocjax.methods.base import Method
from ocjax.methods.residuals import of_reconstruction, smooth


def explained(method: Method) -> Callable:
    """`explain(state, images) -> (scores, heatmaps)` of a method.

    Of a method with an anomaly map, heatmaps are that. Of one that reconstructs they
    are absolute residuals; of another, the absolute gradient of the score by each pixel
    (a saliency map, Simonyan et al., 2014). These two are means over the channels,
    smoothed by a Gaussian. They explain what the networks react to, which need not be
    what a person would point at.

    Args:
      method: whose score is explained.

    Returns:
      A function of the state and of images `[B, S, S, C]` in [-1, 1], that returns
      scores `[B]` and heatmaps `[B, S, S]`; an image's values are its own alone. It
      is the same object for the same method, so that it is compiled once.
    """
    return _explained(method.score, method.anomaly_map, method.reconstruct)


@functools.lru_cache(16)
def _explained(
    score: Callable, anomaly_map: Callable | None, reconstruct: Callable | None
) -> Callable:
    if anomaly_map is not None:
        # What both compute is one program, which the compiler merges.
        return lambda state, images: (score(state, images), anomaly_map(state, images))

    if reconstruct is not None:
        residual = of_reconstruction(reconstruct)
        return lambda state, images: (score(state, images), residual(state, images))

    def total(images, state):
        scores = score(state, images)
        return scores.sum(), scores

    def gradient(state, images):
        # The sum's gradient is each image's own: no score depends on two images.
        slopes, scores = jax.grad(total, has_aux=True)(images, state)
        return scores, smooth(jnp.abs(slopes).mean(-1))

    return gradient
