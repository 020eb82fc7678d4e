"""Yardsticks: detectors without networks, that a result is to be read beside.

They see the pixels alone, at most `VALUES` of an image, which larger images are resized
to, and at most `TRAINING` of the training images, so that they take about a second.
Nothing in them is chosen by labels.

References:
  Ramaswamy, Rastogi and Shim, Efficient algorithms for mining outliers from large data
    sets, 2000: distances to nearest neighbours.
  Breunig et al., LOF: identifying density-based local outliers, 2000; 20 neighbours on
    the principal components.
"""

import math

import numpy as np

from ocjax.data import images as images_lib

VALUES, TRAINING = 1024, 5000
VARIANCE = 0.95  # Share of the variance that principal components explain.
COMPONENTS = 16  # Number of components of the second yardstick of principal components.
NEIGHBOURS, LOCAL = 5, 20  # Number of nearest neighbours, and of those of LOF.
TINY = 1e-10  # Distance that keeps the density of equal vectors finite.
PIECE = 512  # Images that are read, and whose distances are computed, together.


def scores(
    images: np.ndarray, training: np.ndarray, test: np.ndarray
) -> dict[str, np.ndarray]:
    """Scores test images by each yardstick that the training images allow.

    Args:
      images: shape `[N, S, S, C]`, uint8; read a piece at a time, since there may be
        more than memory holds.
      training: indices of normal images, at least two.
      test: indices `[M]` of the images to score.

    Returns:
      Name -> scores `[M]`, float64, larger where more anomalous: "mean image" and
      "pca", "pca 16" are sums of squared errors of a pixel in [0, 1]; "knn" is the mean
      distance to 5 neighbours, and "lof" the local outlier factor.
    """
    rng = np.random.default_rng(0)
    if len(training) > TRAINING:
        training = training[np.sort(rng.choice(len(training), TRAINING, False))]
    normal, judged = _vectors(images, training), _vectors(images, test)
    mean = normal.mean(0)
    normal, judged = normal - mean, judged - mean
    norms, (values, directions) = np.square(judged).sum(1), _principal(normal)
    projected = judged @ directions
    share = np.cumsum(values) / max(values.sum(), np.finfo(np.float32).tiny)
    explaining = int(np.searchsorted(share, VARIANCE)) + 1

    def residual(count: int) -> np.ndarray:
        return np.maximum(norms - np.square(projected[:, :count]).sum(1), 0)

    result = {"mean image": norms, "pca": residual(explaining)}
    if len(values) > COMPONENTS:
        result[f"pca {COMPONENTS}"] = residual(COMPONENTS)
    if len(normal) > NEIGHBOURS:
        result["knn"] = _nearest(normal, judged, NEIGHBOURS)[0].mean(1)
    if len(normal) > LOCAL:
        points = normal @ directions[:, :explaining]
        result["lof"] = _local_outlier_factor(points, projected[:, :explaining])
    return {name: values.astype(np.float64) for name, values in result.items()}


def _vectors(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Some images in [0, 1] as vectors of at most `VALUES`, float32 `[N, D]`."""
    side = min(images.shape[1], math.isqrt(VALUES // images.shape[-1]))
    vectors = np.empty((len(rows), side * side * images.shape[-1]), np.float32)
    for start in range(0, len(rows), PIECE):
        part = images_lib.resize(images[rows[start : start + PIECE]], side)
        vectors[start : start + PIECE] = part.reshape(len(part), -1)
    return vectors / 255


def _principal(centred: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variances along principal directions, largest first, and those, `[D, K]`."""
    values, directions = np.linalg.eigh(centred.T @ centred)
    kept = min(len(centred) - 1, len(values))
    return np.maximum(values[::-1][:kept], 0), directions[:, ::-1][:, :kept]


def _local_outlier_factor(training: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Local outlier factor of test vectors among the training vectors, `[M]`."""
    # Near ones are told apart in double precision.
    training, test = training.astype(np.float64), test.astype(np.float64)
    distances, rows = _nearest(training, training, LOCAL, but_itself=True)
    reach = distances.max(1)

    def density(distances: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return 1 / (np.maximum(distances, reach[rows]).mean(1) + TINY)

    of_training = density(distances, rows)
    distances, rows = _nearest(training, test, LOCAL)
    return of_training[rows].mean(1) / density(distances, rows)


def _nearest(
    training: np.ndarray, test: np.ndarray, count: int, but_itself: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Distances to the nearest training vectors and their rows, in no order.

    Args:
      training: vectors `[N, D]`.
      test: vectors `[M, D]`.
      count: number K of the nearest.
      but_itself: test vectors are the training vectors, none its own neighbour.

    Returns:
      Two arrays `[M, K]`.
    """
    squares, distances, rows = np.square(training).sum(1), [], []
    for start in range(0, len(test), PIECE):
        part = test[start : start + PIECE]
        every = np.square(part).sum(1)[:, None] + squares - 2 * part @ training.T
        if but_itself:
            own = np.arange(len(part))
            every[own, own + start] = np.inf
        nearest = np.argpartition(every, count - 1, axis=1)[:, :count]
        rows.append(nearest)
        distances.append(np.take_along_axis(every, nearest, axis=1))
    squared = np.maximum(np.concatenate(distances), 0)
    return np.sqrt(squared), np.concatenate(rows)
