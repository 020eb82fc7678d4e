"""Which networks the gradients of a loss reach."""

import jax
import numpy as np


def of_generator(method, state, images):
    """The generator's loss, its metrics, its gradients by all networks."""
    loss = method.objectives["generator"].loss
    value = lambda params: loss(params, state.stats, images, jax.random.key(2))
    (total, aux), gradients = jax.value_and_grad(value, has_aux=True)(state.params)
    return total, aux.metrics, gradients


def only(term, terms):
    """Weights by name: 1 of `term`, 0 of the others."""
    return {name: float(name == term) for name in terms}


def reached(gradients):
    """Names of the networks that any gradient reaches."""
    return {
        name
        for name, tree in gradients.items()
        if any(np.any(leaf) for leaf in jax.tree.leaves(tree))
    }
