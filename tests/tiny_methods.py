"""Every method, small; a new method joins the tests of all methods by one line."""

import functools

import jax

from ocjax.methods import autoencoder, caent, ganomaly, ics, lrgdan, skip_ganomaly

_Autoencoder = functools.partial(autoencoder.Config, latent=3, features=2)
_Caent = functools.partial(caent.Config, latent=3, features=2)
_Ganomaly = functools.partial(ganomaly.Config, latent=3, features=2)
_Ics = functools.partial(ics.Config, latent=8, width=0.05, splitting_epochs=1)
_Lrgdan = functools.partial(lrgdan.Config, latent=3, features=2, units=4)

# name -> (builder, tiny Config)
METHODS = {
    "ganomaly": (ganomaly.ganomaly, _Ganomaly()),
    "ganomaly, released in May 2018": (
        ganomaly.ganomaly,
        _Ganomaly(adversarial="non_saturating", score="l1"),
    ),
    "lrgdan": (lrgdan.lrgdan, _Lrgdan()),
    "lrgdan, no information": (lrgdan.lrgdan, _Lrgdan(information=False)),
    "lrgdan, no second autoencoder": (
        lrgdan.lrgdan,
        _Lrgdan(information=False, dual=False),
    ),
    "lrgdan, single autoencoder": (
        lrgdan.lrgdan,
        _Lrgdan(information=False, dual=False, discriminate=False),
    ),
    "ics": (ics.ics, _Ics()),
    "ics, the authors' network, no splitting": (
        ics.ics,
        # At once far from its start, of which its statistics would take long to tell.
        _Ics(splitting=False, backbone="authors", learning_rate=0.3),
    ),
    "caent": (caent.caent, _Caent()),
    "caent, no attention": (caent.caent, _Caent(attention=False)),
    "caent, generator and discriminator": (
        caent.caent,
        _Caent(attention=False, w_inf=0.0),
    ),
    "skip_ganomaly": (
        skip_ganomaly.skip_ganomaly,
        skip_ganomaly.Config(features=2),
    ),
    "autoencoder": (autoencoder.autoencoder, _Autoencoder()),
    "autoencoder, denoising, by SSIM": (
        autoencoder.autoencoder,
        _Autoencoder(noise=0.1, score="ssim"),
    ),
}

# Of each method the configuration that is its default, only small.
MAIN = {name: tiny for name, tiny in METHODS.items() if "," not in name}


def step_of_each_stage(method, state, images, key):
    """The state after one step of each stage, and the metrics of all."""
    metrics = {}
    for i, stage in enumerate(method.stages):
        state, terms = stage.step(state, images, jax.random.fold_in(key, i))
        metrics |= terms
    return state, metrics
