"""PaDiM: a Gaussian of frozen features at each place of normal pictures.

Defard et al., "PaDiM: a patch distribution modeling framework for anomaly detection and
localization" (2020, https://arxiv.org/abs/2011.08785). At each place (i, j) of a grid,
features x_ij of normal pictures have a mean m_ij and a covariance C_ij (Eq 1), to which
0.01 I is added. How anomalous a place is (Eq 2):

    M(x_ij) = sqrt((x_ij - m_ij)^T C_ij^-1 (x_ij - m_ij)).

With C = L L^T it is the length of L^-1 (x - m); L^-1 is what is kept.

There are too many features for a covariance of all. The paper takes a random choice of
them (`embedding="random"`). By default x_ij is their projection on a random subspace
instead, W^T x with W^T W = I, after Kim et al., "Semi-orthogonal embedding for
efficient unsupervised anomaly segmentation" (2021, https://arxiv.org/abs/2105.14737):
every feature takes part, and results depend less on what was drawn.

The paper has the outputs of a ResNet's first three layers. Here features are of two
strides, 8 and 16: a place is 8 pixels wide, 28x28 of them at 224 pixels. Of
EfficientNet-Lite they are the expanded features of blocks 5 and 11, which tell defects
better than what the blocks give (magnetic tiles: AUROC 0.85 and 0.80). Departs too in
that a feature is the mean of 3x3 places, and in the score of a picture: the maximum of
its heatmap, smoothed by a Gaussian, so that verdict and picture agree.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from ocjax import _checks
from ocjax._checks import InputError
from ocjax.methods import _frozen, _moments, base

FINE, COARSE = 8, 16  # Strides of the two maps.


@dataclasses.dataclass(frozen=True)
class Config(_frozen.Config):
    """Hyper-parameters; the paper's, but for the network."""

    dimensions: int = 176  # Number of features of a place that are left.
    # What leaves them: "orthogonal", a projection on a random subspace; or "random", a
    # random choice, as in the paper.
    embedding: str = "orthogonal"
    regularization: float = 0.01  # Variance that is added to that of every feature.


def padim(
    config: Config = Config(),
    dtype: DTypeLike = jnp.float32,
) -> base.Method:
    """Builds the method for images `[B, S, S, C]` of any size.

    Args:
      config: hyper-parameters.
      dtype: float32, which frozen networks compute in.

    Returns:
      The method; it has one pass. Its parameters `padim` are `embedding` `[C, D]`, W of
      all C features; `means` `[P, D]` of the P places, row by row; and `factors`, as
      `packed` makes them of the inverse Cholesky factors times the root of the
      regularization, float16 `[ceil(P / 2), D + 1, D]`.

    Raises:
      InputError: an option is out of range, or the network or its weights are missing.
    """
    frozen = _frozen.Frozen(config, dtype)
    draw = EMBEDDINGS[_checks.one_of("embedding", config.embedding, tuple(EMBEDDINGS))]
    if not config.regularization > 0:
        raise InputError(
            f"`hyper.regularization` (={config.regularization}) must be above 0."
        )
    maps = frozen.backbone.expanded or frozen.backbone.maps
    names = maps[FINE], maps[COARSE]
    fine, coarse = (frozen.backbone.features[name].channels for name in names)
    if config.dimensions > fine + coarse:
        raise InputError(
            f"`hyper.dimensions` (={config.dimensions}) must not exceed the number of "
            f"features of a place, and {config.backbone} has {fine + coarse}."
        )
    grid = -(-config.size // FINE)
    scale = config.regularization**-0.5

    def init(key, images):
        del images
        places, dimensions = grid**2, config.dimensions
        return {
            "embedding": draw(key, fine + coarse, dimensions),
            "means": jnp.zeros((places, dimensions)),
            "factors": jnp.zeros(
                (-(-places // 2), dimensions + 1, dimensions), jnp.float16
            ),
        }

    def embedded(state, x):
        """Projected features of all places, `[B, P, D]`."""
        features = frozen.features(x, names)
        return projected(
            features[names[0]], features[names[1]], state.params["padim"]["embedding"]
        )

    def start(state, shape, count):
        del state, shape, count
        return _moments.zeros((grid**2, config.dimensions))

    def add(state, sums, images, numbers):
        return _moments.added(sums, embedded(state, images), numbers >= 0)

    def finish(params, sums):
        count = max(float(sums["count"]) - 1, 1)
        factors = inverse_factors(sums["products"] / count, config.regularization)
        factors = np.asarray(factors) / scale
        return {
            "embedding": params["embedding"],
            "means": sums["mean"],
            "factors": packed(factors).astype(np.float16),
        }

    def distances(state, x):
        """Mahalanobis distances of all places, `[B, G, G]`."""
        params = state.params["padim"]
        centred = embedded(state, x) - params["means"][None]
        # Where the state is a constant, the barrier keeps the compiler from folding it,
        # which would take long.
        factors = jax.lax.optimization_barrier(params["factors"])
        factors = unpacked(factors, grid**2).astype(jnp.float32)
        whitened = scale * jnp.einsum(
            "pij,bpj->bpi", factors, centred, precision="highest"
        )
        return _frozen.root((whitened**2).sum(-1)).reshape(-1, grid, grid)

    def anomaly_map(state, x):
        return _frozen.heatmaps(distances(state, x), x.shape[1])

    def score(state, x):
        return anomaly_map(state, x).max((1, 2))

    return base.of_one_pass(
        "padim",
        init=init,
        start=start,
        add=add,
        finish=finish,
        score=score,
        anomaly_map=anomaly_map,
        weights=frozen.version,
    )


def subspace(key: jax.Array, features: int, dimensions: int) -> jax.Array:
    """Orthonormal basis `[features, dimensions]` of a random subspace."""
    directions = jax.random.normal(key, (features, dimensions))
    return jnp.linalg.qr(directions)[0]


def choice(key: jax.Array, features: int, dimensions: int) -> jax.Array:
    """Projection `[features, dimensions]` that is a random choice of the features."""
    chosen = jnp.sort(jax.random.permutation(key, features)[:dimensions])
    return jax.nn.one_hot(chosen, features, axis=0)


EMBEDDINGS = {"orthogonal": subspace, "random": choice}


def projected(fine: jax.Array, coarse: jax.Array, embedding: jax.Array) -> jax.Array:
    """Projection of the features that `_frozen.described` gives, `[B, H * H, D]`.

    Maps are projected before means and interpolation, which saves most of both.

    Args:
      fine: map `[B, H, H, C]`.
      coarse: map `[B, h, h, c]`.
      embedding: matrix `[C + c, D]`.
    """
    of_fine, of_coarse = jnp.split(embedding, [fine.shape[-1]])
    project = lambda x, matrix: jnp.einsum(
        "bijc,cd->bijd", x, matrix, precision="highest"
    )
    fine, coarse = _frozen.at_places(
        [project(fine, of_fine), project(coarse, of_coarse)]
    )
    return (fine + coarse).reshape(len(fine), -1, embedding.shape[1])


@jax.jit
def inverse_factors(covariances: jax.Array, regularization: float) -> jax.Array:
    """Inverses L^-1, `[P, D, D]`, of lower factors of C + regularization I = L L^T."""
    identity = jnp.eye(covariances.shape[-1])[None]
    factors = jnp.linalg.cholesky(covariances + regularization * identity)
    identities = jnp.broadcast_to(identity, factors.shape)
    return jax.lax.linalg.triangular_solve(
        factors, identities, left_side=True, lower=True
    )


def packed(triangles: np.ndarray) -> np.ndarray:
    """Lower triangles `[P, D, D]`, two in one rectangle: `[ceil(P / 2), D + 1, D]`.

    The first is below the diagonal of the rectangle; the second on and above it,
    transposed.
    """
    if len(triangles) % 2:
        triangles = np.concatenate([triangles, np.zeros_like(triangles[:1])])
    first, second = triangles[::2], triangles[1::2].swapaxes(1, 2)
    row_above, row_below = ((0, 0), (1, 0), (0, 0)), ((0, 0), (0, 1), (0, 0))
    return np.pad(np.tril(first), row_above) + np.pad(np.triu(second), row_below)


def unpacked(rectangles: jax.Array, count: int) -> jax.Array:
    """First `count` triangles of the rectangles that `packed` gives."""
    first, second = jnp.tril(rectangles[:, 1:]), jnp.triu(rectangles[:, :-1])
    pairs = jnp.stack([first, second.swapaxes(1, 2)], axis=1)
    return pairs.reshape(-1, *first.shape[1:])[:count]
