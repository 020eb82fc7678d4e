"""A plain autoencoder on the surfaces of magnetic tiles; in no paper."""

from ocjax.runs import configure


def get_config():
    """A folder of pictures, as an inspection has them."""
    return configure(
        method="autoencoder",
        dataset="magnetic_tile",
        protocol="folder",
        normal_class="good",
        image_size=64,
        epochs=60,
        batch_size=32,
        false_positive_rate=0.05,
        # 64 x 64 pixels vary in more ways than 16 numbers tell: GANomaly's sizes.
        hyper={"latent": 100, "features": 64},
    )
