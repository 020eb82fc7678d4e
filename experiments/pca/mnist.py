"""Principal components of the pixels on MNIST, the yardstick."""

from ocjax.runs import configure


def get_config():
    """One class normal, the official split."""
    return configure(
        method="pca",
        dataset="mnist",
        protocol="p2",
        normal_class="8",
        false_positive_rate=0.05,
    )
