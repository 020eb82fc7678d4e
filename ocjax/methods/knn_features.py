"""Nearest neighbours: the distance of frozen features to those of normal pictures.

Bergman et al., "Deep nearest neighbor anomaly detection" (2020,
https://arxiv.org/abs/2002.10445): a picture is as anomalous as the mean distance of its
pooled features to those of the k normal pictures that are nearest. Departs in the
network, EfficientNet-Lite0, and in that features are brought to length 1 and distances
are one minus the cosine, which ranks as squared distances do then.

Pooled features x are the mean of those at places, x_p, so a score is the mean over
places of 1 - m x_p / |x|, m the mean of the neighbours. The heatmap is of these, those
above 0.

A size of 112 takes a quarter of the time of 224, and suits pictures of 32 pixels.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from ocjax.methods import _frozen, _memory, base

MOST_PICTURES = 50_000  # Pictures that are kept: 244 MiB for 1,280 features.


@dataclasses.dataclass(frozen=True)
class Config(_frozen.Config):
    """Hyper-parameters."""

    neighbours: int = 5  # Number of normal pictures whose distances are averaged.


def knn_features(
    config: Config = Config(),
    dtype: DTypeLike = jnp.float32,
) -> base.Method:
    """Builds the method for images `[B, S, S, C]` of any size.

    Of more than `MOST_PICTURES` training images every second is kept, or every third
    and so on. Where there are fewer than `config.neighbours`, all are averaged.

    Args:
      config: hyper-parameters.
      dtype: float32, which frozen networks compute in.

    Returns:
      The method; it has one pass. Its parameters `knn_features` are `memory` `[N, D]`,
      rows of length 1; and `origin`, int32 `[N]`, the numbers of the training pictures
      that they are of.

    Raises:
      InputError: the network or its weights are missing.
    """
    frozen = _frozen.Frozen(config, dtype)
    last, size = [*_frozen.levels(frozen.backbone.features).items()][-1]

    def init(key, images):
        del key, images
        return {"memory": jnp.zeros((1, size)), "origin": jnp.zeros(1, jnp.int32)}

    def places(x):
        """Last map, `[B, h, h, D]`, scaled so that its mean has length 1."""
        maps = frozen.features(x, [last])[last]
        return maps / length(maps.mean((1, 2)))[:, None, None]

    def embed(state, x):
        del state
        return places(x).mean((1, 2))

    def start(state, shape, count):
        del state, shape
        stride = -(-count // MOST_PICTURES)
        return {
            "memory": jnp.zeros((-(-count // stride), size)),
            "stride": jnp.asarray(stride, jnp.int32),
        }

    def add(state, sums, images, numbers):
        rows, stride = embed(state, images), sums["stride"]
        return sums | {"memory": _memory.filled(sums["memory"], rows, numbers, stride)}

    def finish(params, sums):
        del params
        memory, stride = sums["memory"], np.asarray(sums["stride"])
        origin = np.arange(len(memory), dtype=np.int32) * stride
        return {"memory": memory, "origin": origin}

    def score(state, x):
        memory = state.params["knn_features"]["memory"]
        return cosine_distance(embed(state, x), memory, config.neighbours)

    def anomaly_map(state, x):
        memory, maps = state.params["knn_features"]["memory"], places(x)
        _, nearest = largest_cosines(maps.mean((1, 2)), memory, config.neighbours)
        mean = jnp.take(memory, nearest, 0, mode="clip").mean(1)
        parts = 1 - jnp.einsum("bijd,bd->bij", maps, mean, precision="highest")
        return _frozen.heatmaps(jnp.maximum(parts, 0), x.shape[1])

    def nearest(state, x):
        params = state.params["knn_features"]
        _, rows = largest_cosines(embed(state, x), params["memory"], _memory.SHOWN)
        whole = jnp.array([0.0, 0.0, 1.0, 1.0])
        return base.Nearest(
            jnp.broadcast_to(whole, (len(x), 4)),
            params["origin"][rows],
            jnp.broadcast_to(whole, (*rows.shape, 4)),
        )

    return base.of_one_pass(
        "knn_features",
        init=init,
        start=start,
        add=add,
        finish=finish,
        score=score,
        embed=embed,
        anomaly_map=anomaly_map,
        views=base.Views(nearest=nearest),
        weights=frozen.version,
    )


def length(x: jax.Array) -> jax.Array:
    """Lengths `[B, 1]` of vectors `[B, D]`, never 0."""
    return _frozen.root((x**2).sum(-1, keepdims=True))


def cosine_distance(x: jax.Array, memory: jax.Array, neighbours: int) -> jax.Array:
    """Mean of the smallest cosine distances to the rows of a memory, `[B]`.

    Args:
      x: vectors of length 1, `[B, D]`.
      memory: vectors of length 1, `[N, D]`.
      neighbours: number of distances that are averaged, at most all N.
    """
    cosines, _ = largest_cosines(x, memory, neighbours)
    return 1 - cosines.mean(-1)


def largest_cosines(
    x: jax.Array, memory: jax.Array, neighbours: int
) -> tuple[jax.Array, jax.Array]:
    """Largest cosines and their rows, both `[B, K]`; arguments as `cosine_distance`."""
    cosines = jnp.einsum("bd,nd->bn", x, memory, precision="highest")
    largest, rows = jax.lax.top_k(cosines, min(neighbours, len(memory)))
    return largest, rows
