"""Changes of images before a method's networks see them.

Both are compiled with the step, on the device, and work on any method.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from ocjax._checks import InputError
from ocjax.methods import base
from ocjax.methods.base import Method, Pass, Views
from ocjax.modules.noise import example_keys

PADDING = 4  # Pixels added on each side, as usual at 32x32 (He et al., 2016).


def augment(
    images: jax.Array,
    key: jax.Array,
    *,
    crop: bool = False,
    flip: bool = False,
) -> jax.Array:
    """Crops and mirrors images, each by its own randomness.

    LR-GDAN (Chen et al., 2020, section 4.1) names both without sizes. A crop is cut
    from the image with `PADDING` black pixels around it. Digits and signs are not to be
    flipped.

    Args:
      images: shape `[B, S, S, C]`, in [-1, 1].
      key: randomness of the whole batch, the same on all devices.
      crop: whether images shift at random by up to `PADDING` pixels.
      flip: whether half of the images are mirrored, left to right.

    Returns:
      Images of the same shape.
    """
    keys = example_keys(key, len(images))

    def augment_one(image, key):
        crop_key, flip_key = jax.random.split(key)
        if crop:
            edges = ((PADDING, PADDING), (PADDING, PADDING), (0, 0))
            padded = jnp.pad(image, edges, constant_values=-1.0)
            top, left = jax.random.randint(crop_key, (2,), 0, 2 * PADDING + 1)
            start = (top, left, jnp.zeros_like(top))
            image = jax.lax.dynamic_slice(padded, start, image.shape)
        if flip:
            mirrored = jax.random.bernoulli(flip_key)
            image = jnp.where(mirrored, image[:, ::-1], image)
        return image

    return jax.vmap(augment_one)(images, keys)


def augmented(method: Method, *, crop: bool, flip: bool) -> Method:
    """The method, trained on augmented images.

    Scores, grades and passes see images as they are.

    Raises:
      InputError: the method takes no steps, so that nothing would be augmented.
    """
    if not method.descends:
        raise InputError(
            "Augmentation is for methods that train in steps, and this one is computed "
            "from the images as they are: leave augment empty."
        )

    def step(inner):
        def on_augmented(state, images, key):
            augment_key, key = jax.random.split(key)
            images = augment(images, augment_key, crop=crop, flip=flip)
            return inner(state, images, key)

        return on_augmented

    stages = [
        stage._replace(step=stage.step and step(stage.step)) for stage in method.stages
    ]
    return method._replace(stages=tuple(stages))


def standardized(
    method: Method, mean: Sequence[float], deviation: Sequence[float]
) -> Method:
    """The method on standardized pixels; its pictures are left out.

    Pixels leave [-1, 1] then, the range that a decoder's tanh can reach: the papers
    that say they standardize do not say how their decoders follow.

    Args:
      method: any method without a frozen network.
      mean: mean of pixels in [0, 1], one for each channel or one for all.
      deviation: standard deviation of pixels in [0, 1], likewise.

    Raises:
      InputError: the method has a frozen network, which standardizes by itself.
    """
    if method.weights:
        raise InputError(
            "Frozen networks standardize pixels as they were trained to: leave "
            "standardize and mnist_normalization off."
        )
    scale, shift = jnp.asarray(deviation), jnp.asarray(mean)

    def standardize(x):
        shape = (1,) * (x.ndim - 1) + (-1,)
        return ((x + 1) / 2 - shift.reshape(shape)) / scale.reshape(shape)

    def on_standardized(function) -> Callable:
        return lambda state, x, *rest: function(state, standardize(x), *rest)

    def computed_on_standardized(computed: Pass) -> Pass:
        def add(state, sums, x, numbers):
            return computed.add(state, sums, standardize(x), numbers)

        return computed._replace(add=add)

    method = base.wrapped(method, on_standardized)
    stages = [
        stage._replace(
            step=stage.step and on_standardized(stage.step),
            computed=stage.computed and computed_on_standardized(stage.computed),
        )
        for stage in method.stages
    ]
    return method._replace(
        stages=tuple(stages),
        reconstruct=None,
        views=Views(),
        diagnose=None,
    )
