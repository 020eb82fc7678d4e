"""Isolation forest: how few random questions single an image out.

Liu, Ting and Zhou, "Isolation forest", 2008. A tree asks of one pixel at a time whether
it is above a threshold, both drawn at random, until each of the images it was grown on
is alone, or the tree is as deep as a balanced one. With c(n) the questions that it
takes on average among n images (equation 1), and h(x) those until a leaf, plus c(n) of
the n images that the leaf still holds,

    score(x) = 2^(-mean of h(x) over trees / c(samples))             (equation 2)

in [0, 1]. 100 trees of 256 images each are the paper's. The run's seed grows the trees.
Scores are steps: their gradient is 0, and so are heatmaps.
"""

import dataclasses
import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from ocjax import _checks
from ocjax.methods import _pixels, base

_INTEGERS = ("roots", "feature", "left", "right")
_FLOATS = ("threshold", "length")


@dataclasses.dataclass(frozen=True)
class Config:
    """Hyper-parameters, as in the paper."""

    trees: int = 100  # Number of trees.
    samples: int = 256  # Largest number of images that a tree is grown on.


def iforest(config: Config = Config(), dtype: DTypeLike = jnp.float32) -> base.Method:
    """Builds the method.

    Args:
      config: hyper-parameters.
      dtype: type of the scores; pixels are compared in float32.

    Returns:
      The method, `_pixels.on_pixels` of the nodes of all trees, one after another:
      `feature`, `threshold`, `left`, `right` (numbers of nodes; a leaf's own) and
      `length` (of a leaf, h(x) / c(samples)), `[M]`; and `roots`, `[trees]`.

    Raises:
      InputError: an option of `config` is out of range.
    """
    _pixels.check_positive("trees", config.trees)
    if config.samples < 2:
        raise _checks.InputError(
            f"`hyper.samples` (={config.samples}) must be at least 2."
        )
    depth = math.ceil(math.log2(config.samples))

    def fit(pixels, seed):
        from sklearn.ensemble import IsolationForest

        samples = min(config.samples, len(pixels))
        options: Any = {"n_estimators": config.trees, "max_samples": samples}
        forest = IsolationForest(**options, random_state=seed).fit(pixels)
        trees = [_nodes(estimator.tree_) for estimator in forest.estimators_]
        sizes = [len(tree["feature"]) for tree in trees]
        roots = np.cumsum([0, *sizes[:-1]]).astype(np.int32)
        for tree, root in zip(trees, roots, strict=True):
            tree["left"], tree["right"] = tree["left"] + root, tree["right"] + root
            tree["length"] = tree["length"] / average_length(np.array(samples))
        return {"roots": roots} | {
            name: np.concatenate([tree[name] for tree in trees]) for name in trees[0]
        }

    def score(params, x):
        values = lambda name, nodes: _pixels.rows_of(params[name], nodes)
        nodes = jnp.broadcast_to(params["roots"], (len(x), len(params["roots"])))
        for _ in range(depth):
            pixels = jnp.take_along_axis(x, values("feature", nodes), 1, mode="clip")
            left = pixels <= values("threshold", nodes)
            nodes = jnp.where(left, values("left", nodes), values("right", nodes))
        return jnp.exp(-math.log(2) * values("length", nodes).mean(1))

    def placeholders(size):
        del size
        integers = dict.fromkeys(_INTEGERS, np.zeros(1, np.int32))
        return {**integers, **dict.fromkeys(_FLOATS, np.zeros(1))}

    return _pixels.on_pixels("iforest", placeholders, fit, score, dtype=dtype)


def average_length(count: np.ndarray) -> np.ndarray:
    """Average number c(n) of questions that single out one of `count` images."""
    count = np.asarray(count, np.float64)
    harmonic = np.log(np.maximum(count - 1, 1)) + np.euler_gamma
    many = 2 * harmonic - 2 * (count - 1) / np.maximum(count, 1)
    return np.where(count <= 1, 0.0, np.where(count == 2, 1.0, many))


def _nodes(tree) -> dict[str, np.ndarray]:
    """Nodes of a tree of scikit-learn, `[M]` each; a leaf is its own children."""
    numbers = np.arange(tree.node_count, dtype=np.int32)
    leaf = tree.children_left < 0
    left, right = (
        np.where(leaf, numbers, children).astype(np.int32)
        for children in (tree.children_left, tree.children_right)
    )
    depth = np.zeros(tree.node_count)
    for node in np.flatnonzero(~leaf):  # Parents come before children.
        depth[[left[node], right[node]]] = depth[node] + 1
    # Pixels are float32, so a threshold may be rounded down to float32.
    threshold = tree.threshold.astype(np.float32)
    above = threshold > tree.threshold
    threshold[above] = np.nextafter(threshold[above], np.float32(-np.inf))
    return {
        "feature": np.where(leaf, 0, tree.feature).astype(np.int32),
        "threshold": threshold,
        "left": left,
        "right": right,
        "length": depth + average_length(tree.n_node_samples),
    }
