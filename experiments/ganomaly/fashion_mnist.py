"""GANomaly on Fashion-MNIST, which the paper does not report."""

from ocjax.runs import configure


def get_config():
    """As on MNIST, but one class normal and the official split."""
    return configure(
        method="ganomaly",
        dataset="fashion_mnist",
        protocol="p2",
        normal_class="Sandal",
        epochs=15,
        batch_size=64,
        false_positive_rate=0.05,
    )
