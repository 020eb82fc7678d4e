"""PatchCore: distances to a memory of frozen features of normal pictures' patches.

Roth et al., "Towards total recall in industrial anomaly detection" (2022,
https://arxiv.org/abs/2106.08265). A patch is a place of a grid, described by features
of two strides, each the mean of 3x3 places (Eq 2, 3), coarser ones interpolated. The
memory M has a part of the normal pictures' patches, chosen by a greedy approximation of
the k-centre problem on random projections (Algorithm 1): always the patch that is
farthest from those chosen before. A patch m is as anomalous as its distance to the
nearest one in memory, a picture as its farthest patch m*, nearest to m_1 (Eq 6), with a
factor for how usual m_1 is (Eq 7):

    s = (1 - exp|m* - m_1| / sum_b exp|m* - m_b|) |m* - m_1|,

m_b the patches of the memory that are nearest to m_1, itself among them.

Departs from the paper in the network, EfficientNet-Lite0's blocks 4 and 10, and in that
at most `MOST_PATCHES` patches are chosen from, an equal random part of each picture's.
The paper gives no number of neighbours for Eq 7; 9 is Anomalib's.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from ocjax._checks import InputError
from ocjax.methods import _frozen, _memory, base

FINE, COARSE = 8, 16  # Strides of the two maps.
MOST_PATCHES = 200_000  # Patches to choose from: 116 MiB for 152 features.
PROJECTED = 128  # Dimensions that the coreset is chosen in.
BLOCK = 2048  # Patches of the memory that others are compared with at once.


@dataclasses.dataclass(frozen=True)
class Config(_frozen.Config):
    """Hyper-parameters; the paper's, but for the network."""

    coreset: float = 0.01  # Part of the patches that the memory has, in (0, 1].
    # Patches of the memory that re-weight a score (b of Eq 7); 1 for no re-weighting.
    neighbours: int = 9


def patchcore(
    config: Config = Config(),
    dtype: DTypeLike = jnp.float32,
) -> base.Method:
    """Builds the method for images `[B, S, S, C]` of any size.

    Args:
      config: hyper-parameters.
      dtype: float32, which frozen networks compute in.

    Returns:
      The method; it has one pass. Its parameters `patchcore` are `memory` `[M, D]`;
      `support`, int32 `[M, b]`, the nearest in memory of each, itself first; `origin`,
      int32 `[M, 2]`, the number of the training picture that each is from and its place
      there, line by line; and `key`, the key of all draws.

    Raises:
      InputError: an option is out of range, or the network or its weights are missing.
    """
    frozen = _frozen.Frozen(config, dtype)
    if not 0 < config.coreset <= 1:
        raise InputError(
            f"`hyper.coreset` (={config.coreset}) must be above 0 and at most 1."
        )
    names = [frozen.backbone.maps[stride] for stride in (FINE, COARSE)]
    size = sum(frozen.backbone.features[name].channels for name in names)
    grid = -(-config.size // FINE)

    def init(key, images):
        del images
        return {
            "memory": jnp.zeros((1, size)),
            "support": jnp.zeros((1, 1), jnp.int32),
            "origin": jnp.zeros((1, 2), jnp.int32),
            "key": jax.random.key_data(key),
        }

    def patches_of(x):
        """Patches of images, `[B, P, D]`."""
        features = frozen.features(x, names)
        described = _frozen.described([features[name] for name in names])
        return described.reshape(len(described), -1, size)

    def chosen_places(key, number):
        """Places of a picture in random order, of which the first are kept."""
        return jax.random.permutation(jax.random.fold_in(key, number), grid**2)

    def start(state, shape, count):
        del state, shape
        per_picture, stride = share(count, grid**2)
        pictures = -(-count // stride)
        return {
            "patches": jnp.zeros((pictures, per_picture, size)),
            "stride": jnp.asarray(stride, jnp.int32),
        }

    def add(state, sums, images, numbers):
        key = jax.random.wrap_key_data(state.params["patchcore"]["key"])
        per_picture = sums["patches"].shape[1]

        def draw(patches, number):
            return patches[chosen_places(key, number)[:per_picture]]

        patches = patches_of(images)
        if per_picture < grid**2:
            patches = jax.vmap(draw)(patches, jnp.maximum(numbers, 0))
        kept = _memory.filled(sums["patches"], patches, numbers, sums["stride"])
        return sums | {"patches": kept}

    def finish(params, sums):
        patches = sums["patches"].reshape(-1, size)
        count = max(1, round(config.coreset * len(patches)))
        key = jnp.asarray(params["key"])
        chosen = np.asarray(coreset(patches, key, count))
        memory = patches[chosen]
        return {
            "memory": memory,
            "support": np.asarray(nearest(memory, min(config.neighbours, count))),
            "origin": origin(chosen, sums, key),
            "key": key,
        }

    def origin(chosen, sums, key):
        """The picture and the place of the chosen patches, int32 `[M, 2]`."""
        each = sums["patches"].shape[1]
        numbers = (chosen // each * np.asarray(sums["stride"])).astype(np.int32)
        ranks = (chosen % each).astype(np.int32)
        if each == grid**2:
            return np.stack([numbers, ranks], 1)
        key = jax.random.wrap_key_data(key)
        place = lambda pair: chosen_places(key, pair[0])[pair[1]]
        found = np.asarray(jax.lax.map(place, (numbers, ranks)), np.int32)
        return np.stack([numbers, found], 1)

    def places(state, x):
        """Patches `[B, P, D]` and their distances to the memory `[B, P]`."""
        patches = patches_of(x)
        memory = state.params["patchcore"]["memory"]
        blocks = [memory[i : i + BLOCK] for i in range(0, len(memory), BLOCK)]
        squares = [squared_distances(patches, block).min(-1) for block in blocks]
        return patches, _frozen.root(functools.reduce(jnp.minimum, squares))

    def anomaly_map(state, x):
        _, distances = places(state, x)
        return _frozen.heatmaps(distances.reshape(-1, grid, grid), x.shape[1])

    def farthest(state, x):
        """The place of the farthest patch `[B]`, and the patch `[B, D]`."""
        patches, distances = places(state, x)
        place = distances.argmax(1)
        one_hot = jax.nn.one_hot(place, patches.shape[1])
        return place, jnp.einsum("bp,bpd->bd", one_hot, patches, precision="highest")

    def nearest_parts(state, x):
        params = state.params["patchcore"]
        place, patch = farthest(state, x)
        squares = squared_distances(patch, params["memory"])
        _, rows = jax.lax.top_k(-squares, min(_memory.SHOWN, len(params["memory"])))
        found = params["origin"][rows]
        return base.Nearest(
            _frozen.boxes(place, grid),
            found[..., 0],
            _frozen.boxes(found[..., 1], grid),
        )

    def score(state, x):
        params = state.params["patchcore"]
        _, patch = farthest(state, x)
        match = jnp.argmax(-squared_distances(patch, params["memory"]), axis=-1)
        support = jnp.take(params["support"], match, 0, mode="clip")
        neighbours = jnp.take(params["memory"], support, 0, mode="clip")
        return reweighted(_frozen.root(((patch[:, None] - neighbours) ** 2).sum(-1)))

    return base.of_one_pass(
        "patchcore",
        init=init,
        start=start,
        add=add,
        finish=finish,
        score=score,
        anomaly_map=anomaly_map,
        views=base.Views(nearest=nearest_parts),
        weights=frozen.version,
    )


def share(count: int, places: int) -> tuple[int, int]:
    """Number of patches kept of a picture, and stride of the pictures that are kept.

    Args:
      count: number of pictures.
      places: number of patches that each has.
    """
    per_picture = min(places, max(1, MOST_PATCHES // count))
    return per_picture, -(-count * per_picture // MOST_PATCHES)


@functools.partial(jax.jit, static_argnums=2)
def coreset(patches: jax.Array, key: jax.Array, count: int) -> jax.Array:
    """Greedy choice of `count` patches, each the farthest from those before it.

    Args:
      patches: patches `[N, D]`; distances are of their random projections where D is
        larger than `PROJECTED`.
      key: data of the key of the first patch and of the projection.
      count: number of patches to choose, at most N.

    Returns:
      Indices, int32 `[count]`.
    """
    first, projection = jax.random.split(jax.random.wrap_key_data(key))
    size = patches.shape[1]
    if size > PROJECTED:
        matrix = jax.random.normal(projection, (size, PROJECTED)) * PROJECTED**-0.5
        patches = jnp.matmul(patches, matrix, precision="highest")
    norms = (patches**2).sum(1)

    def body(i, carry):
        chosen, nearest = carry
        last = patches[chosen[i - 1]]
        products = jnp.matmul(patches, last, precision="highest")
        squares = norms - 2 * products + (last**2).sum()[None]
        nearest = jnp.minimum(nearest, squares).at[chosen[i - 1]].set(-jnp.inf)
        return chosen.at[i].set(jnp.argmax(nearest).astype(jnp.int32)), nearest

    start = jax.random.randint(first, (), 0, len(patches), jnp.int32)
    chosen = jnp.zeros(count, jnp.int32).at[0].set(start)
    nearest = jnp.full(len(patches), jnp.inf)
    return jax.lax.fori_loop(1, count, body, (chosen, nearest))[0]


@functools.partial(jax.jit, static_argnums=1)
def nearest(memory: jax.Array, count: int) -> jax.Array:
    """Numbers of the patches nearest to each, itself first: int32 `[M, count]`."""
    memory = jnp.asarray(memory)
    numbers = jnp.arange(len(memory), dtype=jnp.int32)

    def nearest_to(number):
        squares = ((memory - memory[number][None]) ** 2).sum(1)
        squares = jnp.where(numbers == number, -1.0, squares)
        return jax.lax.top_k(-squares, count)[1].astype(jnp.int32)

    return jax.lax.map(nearest_to, numbers, batch_size=16)


def squared_distances(x: jax.Array, y: jax.Array) -> jax.Array:
    """Squared distances `[..., M]` of vectors `[..., D]` to others `[M, D]`.

    Centred on the mean of the others they are shorter, so rounding costs less.
    """
    centre = y.mean(0)
    x, y = x - centre.reshape((1,) * (x.ndim - 1) + (-1,)), y - centre[None]
    products = jnp.einsum("...d,md->...m", x, y, precision="highest")
    squares = (x**2).sum(-1, keepdims=True) - 2 * products
    others = (y**2).sum(-1).reshape((1,) * (x.ndim - 1) + (-1,))
    return squares + others


def reweighted(distances: jax.Array) -> jax.Array:
    """Scores by Eq 7.

    Args:
      distances: distances of the farthest patch to its nearest one in memory, and to
        those around that one, `[B, b]`.
    """
    if distances.shape[1] == 1:
        return distances[:, 0]
    return (1 - jax.nn.softmax(distances, axis=1)[:, 0]) * distances[:, 0]
