"""A classifier to attack: small, and trained in minutes on two cores."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from ocjax.modules import layers, pool
from ocjax.modules.noise import Dropout, example_keys

Params = Any
SHIFT, TURN, ZOOM = 3.0, 0.2, 0.15  # Largest of each, in pixels, radians, as a share.
LIGHT = 0.3  # Largest change of contrast and of brightness, as a share.

_Conv = functools.partial(
    layers.Conv,
    use_bias=True,
    kernel_init=nn.initializers.he_normal(in_axis=1, out_axis=0),
)
_Dense = functools.partial(layers.Dense, kernel_init=nn.initializers.he_normal())


class Classifier(nn.Module):
    """Three convolutions, each pooled, and two dense layers.

    Attributes:
      classes: number of classes.
      width: factor on the number of channels and hidden units.
    """

    classes: int
    width: float = 1.0

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Maps images `[B, S, S, C]` in [0, 1], S = 8 n, to logits `[B, classes]`.

        Each image's own brightness and contrast are taken out first: signs are seen by
        day and by night. `train` drops units, by the key "dropout".
        """
        mean, deviation = x.mean((1, 2, 3)), x.std((1, 2, 3))
        wide = lambda v: jnp.broadcast_to(v[:, None, None, None], x.shape)
        x = (x - wide(mean)) / (wide(deviation) + 0.02)
        *channels, units = layers.scaled(self.width, 32, 64, 128, 256)
        for number, kernel in zip(channels, (5, 3, 3), strict=True):
            x = _Conv(number, kernel, padding=kernel // 2)(x)
            x = pool.maximum(nn.relu(x))
        x = Dropout(0.5)(x.reshape(len(x), -1), train)
        x = Dropout(0.5)(nn.relu(_Dense(units)(x)), train)
        return _Dense(self.classes)(x)


def logits(classifier: Classifier, params: Params, images: jax.Array) -> jax.Array:
    """Logits `[B, classes]` of images in [0, 1]; attacks take it with two bound."""
    result: Any = classifier.apply({"params": params}, images)
    return result


def train(
    classifier: Classifier,
    images: np.ndarray,
    labels: np.ndarray,
    key: jax.Array,
    *,
    epochs: int = 40,
    batch_size: int = 64,
    learning_rate: float = 1e-3,
) -> Params:
    """Trains on images that are moved, turned, zoomed and lit at random.

    Args:
      classifier: the network.
      images: pixels, `uint8 [N, S, S, C]`.
      labels: classes, int `[N]`.
      key: key of all randomness.
      epochs: passes over the images.
      batch_size: images a step; the rest of an epoch is left out.
      learning_rate: first step size of Adam, which falls to 0 along a cosine.

    Returns:
      Parameters.
    """
    init_key, order_key, step_key = jax.random.split(key, 3)
    steps = len(images) // batch_size
    optimizer = optax.adam(optax.cosine_decay_schedule(learning_rate, steps * epochs))
    params = classifier.init(init_key, jnp.zeros((1, *images.shape[1:])))["params"]
    state = params, optimizer.init(params), jnp.zeros((), jnp.int32)
    pixels, targets = jnp.asarray(images), jnp.asarray(labels)

    def loss(params, batch, rows, key):
        keys = {"dropout": key}
        scores: Any = classifier.apply({"params": params}, batch, True, rngs=keys)
        losses = optax.softmax_cross_entropy_with_integer_labels(scores, targets[rows])
        return losses.mean()

    def step(i, carry, order):
        params, opt, count = carry
        rows = jax.lax.dynamic_slice_in_dim(order, i * batch_size, batch_size)
        vary, dropout = jax.random.split(jax.random.fold_in(step_key, count))
        batch = _vary(pixels[rows] / jnp.float32(255), vary)
        slope = jax.grad(loss)(params, batch, rows, dropout)
        updates, opt = optimizer.update(slope, opt, params)
        return optax.apply_updates(params, updates), opt, count + 1

    @jax.jit
    def epoch(number, carry):
        key = jax.random.fold_in(order_key, number)
        order = jax.random.permutation(key, len(images))
        return jax.lax.fori_loop(0, steps, functools.partial(step, order=order), carry)

    for number in range(epochs):
        state = epoch(number, state)
    return state[0]


def predict(
    classifier: Classifier, params: Params, images: np.ndarray, chunk: int = 64
) -> np.ndarray:
    """Classes `[N]` of images `[N, S, S, C]`, `uint8` or floats in [0, 1]."""
    if images.dtype == np.uint8:
        images = images / np.float32(255)
    padding = np.zeros((-len(images) % chunk, *images.shape[1:]), images.dtype)
    chunks = np.concatenate([images, padding]).reshape(-1, chunk, *images.shape[1:])
    classes = [_classes(classifier, params, part) for part in chunks]
    return np.concatenate(classes)[: len(images)]


@functools.partial(jax.jit, static_argnums=0)
def _classes(classifier, params, images):
    return logits(classifier, params, images).argmax(-1)


def _vary(images: jax.Array, key: jax.Array) -> jax.Array:
    """Images as if seen from a little elsewhere, in another light."""
    size = images.shape[1]
    middle = (size - 1) / 2
    rows, columns = jnp.mgrid[:size, :size] - middle

    def one(image, key):
        u = jax.random.uniform(key, (6,), minval=-1.0)
        zoom, turn = 1 + ZOOM * u[0], TURN * u[1]
        cos, sin = zoom * jnp.cos(turn), zoom * jnp.sin(turn)
        places = [
            cos * rows - sin * columns + middle + SHIFT * u[2],
            sin * rows + cos * columns + middle + SHIFT * u[3],
        ]
        read = functools.partial(
            jax.scipy.ndimage.map_coordinates,
            coordinates=places,
            order=1,
            mode="nearest",
        )
        moved = jax.vmap(read, in_axes=-1, out_axes=-1)(image)
        lit = moved * (1 + LIGHT * u[4]) + 0.5 * LIGHT * u[5] * moved.mean()
        return jnp.clip(lit, 0.0, 1.0)

    return jax.vmap(one)(images, example_keys(key, len(images)))
