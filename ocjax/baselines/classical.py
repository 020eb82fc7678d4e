"""Detectors of scikit-learn on pixels, with no label in any choice.

Published numbers of these often chose their parameters by AUROC on labelled images;
here they are fixed, or chosen by the likelihood of held-out normal images.
"""

from collections.abc import Callable

import numpy as np

from ocjax._checks import one_of

Score = Callable[[np.ndarray], np.ndarray]  # Pixels [N, D] -> [N], float64.
VARIANCE = 0.95  # That principal components keep.


def fit(name: str, images: np.ndarray, seed: int = 0) -> Score:
    """Fits a detector to normal images.

    Args:
      name: a key of `DETECTORS`.
      images: normal ones, `[N, H, W, C]`, `uint8` or floats in [-1, 1].
      seed: of what is random.

    Returns:
      A function of images like those, larger where more anomalous.

    Raises:
      InputError: the name is unknown.
    """
    detector = DETECTORS[one_of("detector", name, DETECTORS)]
    score = detector(_pixels(images), seed)
    return lambda images: score(_pixels(images))


def one_class_svm(pixels: np.ndarray, seed: int) -> Score:
    """One-class SVM: RBF kernel of width 1 / (D var), nu = 0.1, on 95 % of variance.

    References:
      Schoelkopf et al., Estimating the support of a high-dimensional distribution,
      2001; nu and components as in the code of Deep SVDD.
    """
    from sklearn.svm import OneClassSVM

    del seed
    components = _components(pixels)
    model = OneClassSVM(nu=0.1, gamma="scale").fit(components(pixels))
    return lambda pixels: -model.decision_function(components(pixels))


def kernel_density(pixels: np.ndarray, seed: int) -> Score:
    """Gaussian kernel density on 95 % of variance.

    The bandwidth is the likeliest of twenty, from 2^-4.5 to 2^5, in five-fold
    cross-validation on the normal images alone.

    References:
      Parzen, On estimation of a probability density function and mode, 1962; the grid
      is that of the code of Deep SVDD.
    """
    from sklearn.model_selection import GridSearchCV, KFold
    from sklearn.neighbors import KernelDensity

    components = _components(pixels)
    search = GridSearchCV(
        KernelDensity(),
        {"bandwidth": np.logspace(-4.5, 5, 20, base=2)},
        cv=KFold(5, shuffle=True, random_state=seed),
    )
    model = search.fit(components(pixels)).best_estimator_
    return lambda pixels: -model.score_samples(components(pixels))


def isolation_forest(pixels: np.ndarray, seed: int) -> Score:
    """Isolation forest: 100 trees of 256 images each, on raw pixels.

    References:
      Liu et al., Isolation forest, 2008.
    """
    from sklearn.ensemble import IsolationForest

    model = IsolationForest(random_state=seed).fit(pixels)
    return lambda pixels: -model.score_samples(pixels)


def mahalanobis(pixels: np.ndarray, seed: int) -> Score:
    """Mahalanobis distance on 95 % of variance, covariance by Ledoit and Wolf.

    References:
      Ledoit and Wolf, A well-conditioned estimator for large-dimensional covariance
      matrices, 2004.
    """
    from sklearn.covariance import LedoitWolf

    del seed
    components = _components(pixels)
    model = LedoitWolf().fit(components(pixels))
    return lambda pixels: model.mahalanobis(components(pixels))


def _components(pixels: np.ndarray) -> Score:
    from sklearn.decomposition import PCA

    return PCA(VARIANCE, svd_solver="full").fit(pixels).transform


def _pixels(images: np.ndarray) -> np.ndarray:
    """Images in [0, 1], `[N, D]`, float64."""
    flat = np.reshape(images, (len(images), -1)).astype(np.float64)
    return flat / 255 if images.dtype == np.uint8 else (flat + 1) / 2


DETECTORS = {
    "ocsvm": one_class_svm,
    "kde": kernel_density,
    "iforest": isolation_forest,
    "mahalanobis": mahalanobis,
}
