"""A method that can be followed by hand: each step moves its one weight by its rate."""

import jax.numpy as jnp
import numpy as np
import optax

from ocjax.methods import base

IMAGES = np.full((8, 2, 2, 1), 255, np.uint8)  # 1 in [-1, 1].


def linear(rate: float) -> base.Method:
    """Descends on the mean of (weight * image) by plain gradient descent."""

    def loss(params, stats, x, key):
        del stats, key
        return params["net"]["weight"] * x.mean(), base.Aux({"net": {}}, {})

    objectives = {"linear": base.Objective(loss, ("net",), optax.sgd(rate))}

    def init(key, images):
        del key, images
        params = {"net": {"weight": jnp.ones(())}}
        opt = {"linear": objectives["linear"].optimizer.init(params)}
        return base.State(params, {"net": {}}, opt, jnp.zeros((), jnp.int32))

    def step(state, images, key):
        return base.simultaneous(objectives, state, images, key)

    def score(state, x):
        return state.params["net"]["weight"] * x.mean(axis=(1, 2, 3))

    return base.Method(init, (base.Stage(step),), score, objectives, error=score)
