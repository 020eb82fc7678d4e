"""Methods of configurations."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from ocjax import methods
from ocjax._checks import InputError
from ocjax.methods import Method, averaging, preprocessing, residuals, tiling
from ocjax.runs.config import PaperCode, RunConfig

MNIST_MEAN, MNIST_DEVIATION = 0.1307, 0.3081  # Moments of pixels in [0, 1].
USUAL_SIDES = (32, 64, 128, 256)  # Sides of images that all methods take, in pixels.


@functools.lru_cache(16)
def build_method(config: RunConfig, hyper: Any, standard: tuple | None) -> Method:
    """Builds the method of a configuration, wrapped as its fields say.

    Runs that are alike get one object, so that they share compiled programs.

    Args:
      config: configuration of the run.
      hyper: the method's own `Config`.
      standard: mean and deviation of pixels to standardize by, or None.

    Raises:
      InputError: the method cannot do what a flag of `config` says.
    """
    _, builder = methods.METHODS[config.method]
    method = builder(hyper, jnp.dtype(config.precision))
    _check(config.paper_code, method)
    if config.paper_code.mnist_normalization:
        method = preprocessing.standardized(method, [MNIST_MEAN], [MNIST_DEVIATION])
    if standard:
        method = preprocessing.standardized(method, *standard)
    if config.tile:
        if config.paper_code.batch_statistics:
            raise InputError(
                "`config.paper_code.batch_statistics` is for whole pictures, not for "
                "tiles: set config.tile to 0."
            )
        overlap, reduction = config.tile_overlap, config.tile_reduction
        method = tiling.tiled(method, config.tile, overlap=overlap, reduction=reduction)
    if config.score_from == "map":
        if config.paper_code.batch_statistics:
            raise InputError(
                "`config.paper_code.batch_statistics` is for the method's own scores: "
                "set config.score_from to method."
            )
        method = residuals.scored_by_map(method)  # Of the whole picture, after tiles.
    kinds = config.augment.split()
    if kinds:
        crop, flip = "crop" in kinds, "flip" in kinds
        method = preprocessing.augmented(method, crop=crop, flip=flip)
    if config.average:
        method = averaging.averaged(method, config.average)
    return method


def check_sizes(config: RunConfig, hyper: Any) -> None:
    """Raises `InputError` where networks cannot take images of the size.

    It does so too where a frozen network has no weights. The error comes before
    pictures are read, and before other errors about them.
    """
    method = build_method(config, hyper, None)
    side = config.tile or config.image_size
    if side in USUAL_SIDES and side <= config.image_size and not method.weights:
        return  # Every method can be built for it; to check would take a second.
    shape = (1, config.image_size, config.image_size, 1)
    images = jax.ShapeDtypeStruct(shape, jnp.float32)
    jax.eval_shape(method.init, jax.random.key(0), images)


def _check(flags: PaperCode, method: Method) -> None:
    """Raises `InputError` where the method cannot do what a flag says."""
    for flag in ("batch_statistics", "mnist_normalization"):
        if getattr(flags, flag) and method.score_batchwise is None:
            raise InputError(
                f"`config.paper_code.{flag}` is for ganomaly and skip_ganomaly; the "
                "code of this method does not do that."
            )
