"""Every method, small; a new method joins the tests of all methods by one line."""

import functools

import jax
import jax.numpy as jnp

from ocjax.methods import (
    autoencoder,
    caent,
    ganomaly,
    ics,
    iforest,
    kde,
    knn,
    lof,
    lrgdan,
    mahalanobis,
    ocsvm,
    pca,
    skip_ganomaly,
)

_Autoencoder = functools.partial(autoencoder.Config, latent=3, features=2)
_Caent = functools.partial(caent.Config, latent=3, features=2)
_Ganomaly = functools.partial(ganomaly.Config, latent=3, features=2)
_Ics = functools.partial(
    ics.Config,
    latent=8,
    width=0.05,
    splitting_epochs=1,
    # Adam's first step is of this length whatever the gradient, also where that is
    # rounding alone; three losses take it in turn, each at what the last one left.
    learning_rate=3e-5,
)
_Lrgdan = functools.partial(lrgdan.Config, latent=3, features=2, units=4)

# name -> (builder, tiny Config)
METHODS = {
    "ganomaly": (ganomaly.ganomaly, _Ganomaly()),
    "ganomaly, released in May 2018": (
        ganomaly.ganomaly,
        _Ganomaly(
            adversarial="non_saturating", order="discriminator_first", score="l1"
        ),
    ),
    "lrgdan": (lrgdan.lrgdan, _Lrgdan()),
    "lrgdan, no information, k controlled": (
        lrgdan.lrgdan,
        _Lrgdan(
            information=False,
            k_control=0.1,
            dual_mode="zero_sum",
            score="squared_error",
        ),
    ),
    "lrgdan, no second autoencoder": (
        lrgdan.lrgdan,
        _Lrgdan(information=False, dual=False),
    ),
    "lrgdan, single autoencoder": (
        lrgdan.lrgdan,
        _Lrgdan(information=False, dual=False, discriminate=False),
    ),
    "ics": (ics.ics, _Ics()),
    "ics, the authors' splitter, by the latent": (
        ics.ics,
        _Ics(splitter="authors", splitting_latent=8, divide_by="mahalanobis"),
    ),
    "ics, the authors' network, no splitting": (
        ics.ics,
        # At once far from its start, of which its statistics would take long to tell.
        _Ics(splitting=False, backbone="authors", learning_rate=0.3),
    ),
    "caent": (caent.caent, _Caent()),
    "caent, generator and discriminator": (
        caent.caent,
        _Caent(attention=False, w_inf=0.0),
    ),
    "caent, no attention, by squares, a narrower discriminator": (
        caent.caent,
        _Caent(attention=False, score="squares", discriminator_features=1),
    ),
    "skip_ganomaly": (
        skip_ganomaly.skip_ganomaly,
        skip_ganomaly.Config(features=2),
    ),
    "autoencoder": (autoencoder.autoencoder, _Autoencoder()),
    "autoencoder, denoising, masked, by SSIM": (
        autoencoder.autoencoder,
        _Autoencoder(noise=0.1, masked=0.5, score="ssim"),
    ),
    "pca": (pca.pca, pca.Config(components=3)),
    "pca, by variance, absolute": (pca.pca, pca.Config(0.5, error="absolute")),
    "knn": (knn.knn, knn.Config(neighbours=8)),
    "lof": (lof.lof, lof.Config(neighbours=4, variance=0.0)),
    "mahalanobis": (mahalanobis.mahalanobis, mahalanobis.Config()),
    "ocsvm": (ocsvm.ocsvm, ocsvm.Config()),
    "kde": (kde.kde, kde.Config()),
    "iforest": (iforest.iforest, iforest.Config(trees=10, samples=8)),
}

# Of each method the configuration that is its default, only small.
MAIN = {name: tiny for name, tiny in METHODS.items() if "," not in name}
# Names of those that are descended to alone, whose steps can be compiled.
STEPPING = [name for name, (build, tiny) in MAIN.items() if not build(tiny).computes]


def step_of_each_stage(method, state, images, key):
    """The state after one step or pass of each stage, and the metrics of all.

    Only steps are compiled, for a pass is not to be.
    """
    metrics = {}
    for i, stage in enumerate(method.stages):
        if stage.computed is not None:
            state = after_a_pass(stage.computed, state, images)
            continue
        state, terms = jax.jit(stage.step)(state, images, jax.random.fold_in(key, i))
        metrics |= terms
    return state, metrics


def after_passes(method, state, shape):
    """The state after what the method computes of nine images, if anything."""
    images = jax.random.uniform(jax.random.key(9), (9, *shape), minval=-1)
    for stage in method.stages:
        if stage.computed is not None:
            state = after_a_pass(stage.computed, state, images)
    return state


def after_a_pass(computed, state, images):
    """The state after a pass over images that are one batch."""
    sums = computed.start(state, images.shape[1:], len(images))
    sums = jax.jit(computed.add)(state, sums, images, jnp.arange(len(images)))
    state = computed.finish(state, jax.device_get(sums))
    return jax.tree.map(jnp.asarray, state._replace(step=state.step + 1))
