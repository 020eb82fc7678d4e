"""Principal components of the pixels on Fashion-MNIST, the yardstick."""

from ocjax.runs import configure


def get_config():
    """One class normal, the official split."""
    return configure(
        method="pca",
        dataset="fashion_mnist",
        protocol="p2",
        normal_class="Sandal",
        false_positive_rate=0.05,
    )
