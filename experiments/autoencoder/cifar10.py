"""An autoencoder on CIFAR-10, a baseline: one class normal, the official split."""

from ocjax.runs import configure


def get_config():
    """Thirty epochs, cheaper than fifteen of any other method."""
    return configure(
        method="autoencoder",
        dataset="cifar10",
        protocol="p2",
        normal_class="airplane",
        epochs=30,
        batch_size=64,
        false_positive_rate=0.05,
        # Photographs vary in more ways than 16 numbers tell: GANomaly's sizes.
        hyper={"latent": 100, "features": 64},
    )
