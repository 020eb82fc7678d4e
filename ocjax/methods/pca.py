"""Principal components of the pixels: the yardstick that needs no training.

An image is anomalous when the directions in which normal images differ most do not
reconstruct it. Mean and products come from one pass over the training images; the
eigenvectors of the products are the components. Departs from common practice: scores
are sums over pixels of the error, and reconstructions are shown clipped to [-1, 1],
while the score compares with them as they are.
"""

import dataclasses
import math

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from ocjax import _checks
from ocjax.losses import reconstruction
from ocjax.methods import _moments, _pixels, base

ERRORS = {"squared": reconstruction.squared_error, "absolute": reconstruction.l1}
MOST_VALUES = 8192  # Values of an image, whose products of all pairs are 256 MiB.


@dataclasses.dataclass(frozen=True)
class Config:
    """Hyper-parameters; all are choices."""

    # Share of the training images' variance that the components explain.
    variance: float = 0.95
    components: int = 0  # Number of components; 0 for as many as explain the share.
    error: str = "squared"  # Error of a pixel: "squared" or "absolute".


def pca(
    config: Config = Config(),
    dtype: DTypeLike = jnp.float32,
) -> base.Method:
    """Builds the method for images `[B, S, S, C]` of at most `MOST_VALUES` values.

    Args:
      config: hyper-parameters.
      dtype: type that images are projected in; sums and results are float32.

    Returns:
      The method; it has one pass and no networks. Its parameters `pca` are `mean`
      `[S, S, C]` and `components` `[K, S * S * C]`, orthonormal rows.

    Raises:
      InputError: an option of `config` is unknown or out of range.
    """
    _check(config)
    error = ERRORS[config.error]
    exact = jnp.promote_types(dtype, jnp.float32)

    def product(a, b):
        return _pixels.product(a.astype(dtype), b.astype(dtype))

    def init(key, images):
        del key
        shape = images.shape[1:]
        _check_shape(shape, config.components)
        directions = jnp.zeros((max(config.components, 1), math.prod(shape)), exact)
        return {"mean": jnp.zeros(shape, exact), "components": directions}

    def start(state, shape, count):
        del state
        if config.components >= count:
            raise _checks.InputError(
                f"`hyper.components` (={config.components}) must be less than the "
                f"number of training images (={count})."
            )
        return _moments.zeros((math.prod(shape),), exact)

    def add(state, sums, images, numbers):
        del state
        return _moments.added(sums, images.reshape(len(images), -1), numbers >= 0)

    def finish(params, sums):
        directions = _components(sums["products"], float(sums["count"]), config)
        return {
            "mean": np.reshape(sums["mean"], params["mean"].shape),
            "components": directions.astype(params["components"].dtype),
        }

    def embed(state, x):
        params = state.params["pca"]
        _pixels.check_images(x, params["mean"])
        centred = (x - params["mean"][None]).reshape(len(x), -1)
        return product(centred, params["components"].T)

    def project(state, z, shape):
        params = state.params["pca"]
        offset = product(z, params["components"]).reshape(-1, *shape)
        return params["mean"][None] + offset

    def decode(state, z, shape):
        return jnp.clip(project(state, z, shape), -1, 1)

    def reconstruct(state, x):
        return decode(state, embed(state, x), x.shape[1:])

    def score(state, x):
        x_hat = project(state, embed(state, x), x.shape[1:])
        return error(x, x_hat, reduction="sum")

    return base.of_one_pass(
        "pca",
        init=init,
        start=start,
        add=add,
        finish=finish,
        score=score,
        reconstruct=reconstruct,
        embed=embed,
        views=base.Views(decode=decode),
    )


def _components(products: np.ndarray, count: float, config: Config) -> np.ndarray:
    """Orthonormal rows `[K, D]`, those along which images vary most first.

    Rows along which they do not vary are zero, so that images that are all alike are
    reconstructed by their mean.

    Args:
      products: sums of products of the pixels of centred images, `[D, D]`.
      count: number of images.
      config: hyper-parameters, which decide the number of rows.
    """
    values, vectors = np.linalg.eigh(products.astype(np.float64))
    variances = np.maximum(values[::-1], 0) / max(count - 1, 1)
    varies = variances > len(variances) * _pixels.ROUNDING
    kept = config.components
    if not kept:
        share = np.cumsum(variances * varies) / max(variances.sum(), _pixels.ROUNDING)
        kept = int(np.searchsorted(share, config.variance, side="right")) + 1
        kept = min(kept, max(int(varies.sum()), 1))
    return (vectors.T[::-1] * varies[:, None])[:kept]


def _check(config: Config) -> None:
    """Raises `InputError` unless the configuration can be built."""
    _checks.one_of("hyper.error", config.error, ERRORS)
    if not 0 < config.variance < 1:
        raise _checks.InputError(
            f"`hyper.variance` (={config.variance}) must be between 0 and 1, both "
            "excluded."
        )
    if config.components < 0:
        raise _checks.InputError(
            f"`hyper.components` (={config.components}) must be at least 0."
        )


def _check_shape(shape: tuple[int, ...], components: int) -> None:
    """Raises `InputError` unless images of a shape have few values, yet enough."""
    size = math.prod(shape)
    have = f"pictures of {' x '.join(map(str, shape))} have {size:,}"
    if size > MOST_VALUES:
        raise _checks.InputError(
            f"pca takes at most {MOST_VALUES:,} values of a picture, and {have}: lower "
            "image_size, or set config.tile."
        )
    if components > size:
        raise _checks.InputError(
            f"`hyper.components` (={components}) must not exceed the number of values "
            f"of a picture, and {have}."
        )
