"""A plain autoencoder on sounds in six scenes."""

from ocjax.runs import configure


def get_config():
    """As LR-GDAN's, to compare."""
    return configure(
        method="autoencoder",
        dataset="sound_scenes",
        protocol="folder",
        normal_class="all",
        image_size=64,
        epochs=60,
        batch_size=16,
        false_positive_rate=0.05,
        # 64 x 64 pixels vary in more ways than 16 numbers tell: GANomaly's sizes.
        hyper={"latent": 100, "features": 64},
    )
