"""A plain autoencoder on 17 objects of COIL-100."""

from ocjax.runs import configure


def get_config():
    """As CAE-Ent's, to compare."""
    return configure(
        method="autoencoder",
        dataset="coil100_17",
        protocol="p1",
        normal_class="random",
        seeds=20,
        epochs=150,
        batch_size=15,
        false_positive_rate=0.05,
        # Objects in colours vary in more ways than 16 numbers tell: GANomaly's sizes.
        hyper={"latent": 100, "features": 64},
    )
