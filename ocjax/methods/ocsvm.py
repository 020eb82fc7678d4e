"""One-class SVM: on which side of a surface around normal images an image is.

Schoelkopf, Platt, Shawe-Taylor, Smola and Williamson, "Estimating the support of a
high-dimensional distribution", 2001. With support vectors x_i, their coefficients a_i
and the offset r,

    score(x) = r - sum_i a_i exp(-gamma |x - x_i|^2),

positive outside. nu = 0.1 on 95 % of the variance is as in the code of Deep SVDD (Ruff
et al., 2018), which chose gamma by labelled images: here it is 1 / (K var), a choice.
"""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from ocjax import _checks
from ocjax.methods import _pixels, base


@dataclasses.dataclass(frozen=True)
class Config:
    """Hyper-parameters; `nu` and `variance` as in the code of Deep SVDD."""

    nu: float = 0.1  # Largest share of training images outside.
    gamma: float = 0.0  # Width of the kernel; 0 for 1 / (K var) of the K components.
    # Share of the variance that principal components keep; 0 for the pixels themselves.
    variance: float = 0.95


def ocsvm(config: Config = Config(), dtype: DTypeLike = jnp.float32) -> base.Method:
    """Builds the method.

    Args:
      config: hyper-parameters.
      dtype: type that images are projected in.

    Returns:
      The method, `_pixels.on_components` of parameters `vectors` `[V, K]`,
      `coefficients` `[V]`, `offset` and `gamma`.

    Raises:
      InputError: an option of `config` is out of range.
    """
    if not 0 < config.nu <= 1:
        raise _checks.InputError(
            f"`hyper.nu` (={config.nu}) must be greater than 0 and at most 1."
        )
    if config.gamma < 0:
        raise _checks.InputError(f"`hyper.gamma` (={config.gamma}) must be at least 0.")

    def fit(points, seed):
        from sklearn.svm import OneClassSVM

        del seed
        total_variance = points.shape[1] * points.var()
        # As in scikit-learn, gamma is 1 where all images are alike.
        gamma = config.gamma or (1 / total_variance if total_variance else 1.0)
        options: Any = {"nu": config.nu, "gamma": gamma}
        model: Any = OneClassSVM(**options).fit(points)
        return {
            "vectors": model.support_vectors_,
            "coefficients": model.dual_coef_[0],
            "offset": model.offset_[0],
            "gamma": np.float64(gamma),
        }

    def score(params, x):
        squares = _pixels.squared_distances(x, params["vectors"])
        kernel = jnp.exp(-params["gamma"] * squares)
        return params["offset"] - _pixels.product(kernel, params["coefficients"])

    def placeholders(size):
        vectors = {"vectors": np.zeros((1, size)), "coefficients": np.zeros(1)}
        return {**vectors, "offset": np.zeros(()), "gamma": np.zeros(())}

    return _pixels.on_components(
        "ocsvm",
        placeholders,
        fit,
        score,
        variance=config.variance,
        dtype=dtype,
    )
