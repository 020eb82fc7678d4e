"""An autoencoder on Fashion-MNIST, a baseline: one class normal, the official split."""

from ocjax.runs import configure


def get_config():
    """Thirty epochs, cheaper than fifteen of any other method."""
    return configure(
        method="autoencoder",
        dataset="fashion_mnist",
        protocol="p2",
        normal_class="Sandal",
        epochs=30,
        batch_size=64,
        false_positive_rate=0.05,
    )
