"""A plain autoencoder on attacked stop signs."""

from ocjax.runs import configure


def get_config():
    """As LR-GDAN's, to compare."""
    return configure(
        method="autoencoder",
        dataset="stop_signs",
        protocol="folder",
        normal_class="clean",
        seeds=3,
        augment="crop",
        epochs=60,
        batch_size=64,
        false_positive_rate=0.05,
        # Photographs vary in more ways than 16 numbers tell: GANomaly's sizes.
        hyper={"latent": 100, "features": 64},
    )
