"""Reconstruction losses, and a similarity.

Images are floats of shape `[..., H, W, C]`; every function returns one value per
image, shape `[...]`, so that callers choose the reduction: `.mean()` to train, none
to score.
"""

import jax
import jax.numpy as jnp
import numpy as np

from ocjax import _checks

REDUCTIONS = {"mean": jnp.mean, "sum": jnp.sum}


def l1(
    images: jax.Array, reconstructions: jax.Array, reduction: str = "mean"
) -> jax.Array:
    """Absolute error per image, the contextual loss of GANomaly.

    GANomaly's paper writes the norm, its code takes the mean over pixels, for which
    the paper's weight of 50 is tuned. LR-GDAN writes the norm, a sum.

    Args:
      images: originals, shape `[..., H, W, C]`.
      reconstructions: images of the same shape and value range.
      reduction: "mean" or "sum" over an image's pixels and channels.

    Returns:
      Errors of shape `[...]`, zero where the reconstruction is exact.

    Raises:
      ValueError: the shapes differ, or the reduction is unknown.
      TypeError: an argument is not floating point.

    References:
      Akcay et al., [GANomaly](https://arxiv.org/abs/1805.06725), 2018, Eq 2;
      Chen et al., [LR-GDAN](https://doi.org/10.24963/ijcai.2020/106), 2020, Eqs 3
      and 5.
    """
    _check(images, reconstructions)
    return _reduce(jnp.abs(images - reconstructions), reduction)


def squared_error(
    images: jax.Array, reconstructions: jax.Array, reduction: str = "mean"
) -> jax.Array:
    """Squared error per image.

    Args:
      images: originals, shape `[..., H, W, C]`.
      reconstructions: images of the same shape and value range.
      reduction: "mean" or "sum" over an image's pixels and channels.

    Returns:
      Errors of shape `[...]`, zero where the reconstruction is exact.

    Raises:
      ValueError: the shapes differ, or the reduction is unknown.
      TypeError: an argument is not floating point.
    """
    _check(images, reconstructions)
    return _reduce(jnp.square(images - reconstructions), reduction)


def squared_over_variance(
    images: jax.Array, reconstructions: jax.Array, epsilon: float = 1e-3
) -> jax.Array:
    """Squared error per image over the variance of the image's own pixels.

    The share of an image that its reconstruction does not explain: 1 where that is no
    better than one grey level, the image's mean. A squared error alone grows with the
    contrast of an image, so that one of few strokes is reconstructed well by anything.

    Args:
      images: originals, shape `[..., H, W, C]`; the variance is over pixels and
        channels.
      reconstructions: images of the same shape and value range.
      epsilon: constant added to the variance, so that a flat image has a finite value;
        the default is a deviation of 4 of 255 grey levels, pixels being in [-1, 1].

    Returns:
      Ratios of shape `[...]`, zero where the reconstruction is exact.

    Raises:
      ValueError: the shapes differ.
      TypeError: an argument is not floating point.

    References:
      One minus the coefficient of determination of an image's pixels, Wright,
      "Correlation and causation", Journal of Agricultural Research 20, 1921; that the
      error of an image is divided by its own variance is a choice of this library.
    """
    error = squared_error(images, reconstructions)
    return error / (images.var(axis=(-3, -2, -1)) + epsilon)


def ssim(
    images: jax.Array,
    reconstructions: jax.Array,
    *,
    data_range: float = 1.0,
    sigma: float = 1.5,
    sample_covariance: bool = False,
) -> jax.Array:
    """Mean structural similarity per image: 1 where equal, never more.

    Means, variances and the covariance are those of Gaussian windows, cut off at 3.5
    sigma (11x11 pixels for the default). Only windows wholly inside the image count.
    The same as scikit-image's `structural_similarity` with `gaussian_weights`.

    Args:
      images: originals, shape `[..., H, W, C]`, values in [0, 1].
      reconstructions: images of the same shape and value range.
      data_range: difference L of the largest and smallest possible values, from which
        the constants `(0.01 L)^2` and `(0.03 L)^2` follow. The authors of intra-class
        splitting left it to scikit-image, which takes 2 for floats though theirs are
        in [0, 1].
      sigma: deviation of the window, in pixels.
      sample_covariance: scale (co)variances by `n / (n - 1)` for n pixels in a window,
        as the authors of intra-class splitting do; Wang et al. do not.

    Returns:
      Similarities of shape `[...]`, at least -1.

    Raises:
      ValueError: the shapes differ, or an image is smaller than a window.
      TypeError: an argument is not floating point.

    References:
      Wang et al., [Image quality assessment: from error visibility to structural
      similarity](https://doi.org/10.1109/TIP.2003.819861), 2004, Eq 13; for
      intra-class splitting, patrickschlachter/deep-occ-using-ics on GitHub.
    """
    _check(images, reconstructions)
    height, width, _ = images.shape[-3:]
    radius = int(3.5 * sigma + 0.5)
    side = 2 * radius + 1
    if min(height, width) < side:
        raise _checks.InputError(
            f"Expected images of at least {side}x{side} pixels, the size of a window "
            f"of SSIM, got {height}x{width}."
        )
    down = jnp.asarray(_gaussian_windows(height, sigma, radius), images.dtype)
    across = jnp.asarray(_gaussian_windows(width, sigma, radius), images.dtype)

    def blur(x):
        return jnp.einsum("ih,...hwc,jw->...ijc", down, x, across, precision="highest")

    # A variance is a small difference of E[x^2] and E[x]^2: computed in full precision,
    # and of images from which their mean is taken, which changes no variance.
    level_x, level_y = (
        x.mean(axis=(-3, -2), keepdims=True) for x in (images, reconstructions)
    )
    x, y = images - level_x, reconstructions - level_y
    mean_x, mean_y = blur(x), blur(y)
    scale = side**2 / (side**2 - 1) if sample_covariance else 1.0
    variances = scale * (blur(x**2 + y**2) - (mean_x**2 + mean_y**2))
    covariance = scale * (blur(x * y) - mean_x * mean_y)
    mean_x, mean_y = mean_x + level_x, mean_y + level_y
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variances + c2)
    return (luminance * structure).mean(axis=(-3, -2, -1))


def _gaussian_windows(size: int, sigma: float, radius: int) -> np.ndarray:
    """A matrix whose rows are the weights of each window inside `size` pixels."""
    centers = np.arange(radius, size - radius)
    offsets = np.arange(size) - centers[:, None]
    weights = np.exp(-0.5 * (offsets / sigma) ** 2) * (abs(offsets) <= radius)
    return weights / weights.sum(axis=1, keepdims=True)


def _reduce(errors, reduction):
    _checks.one_of("reduction", reduction, REDUCTIONS)
    return REDUCTIONS[reduction](errors, axis=(-3, -2, -1))


def _check(images, reconstructions):
    _checks.same_shape(images=images, reconstructions=reconstructions)
    _checks.floating(images=images, reconstructions=reconstructions)
