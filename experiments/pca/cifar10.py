"""Principal components of the pixels on CIFAR-10, the yardstick."""

from ocjax.runs import configure


def get_config():
    """One class normal, the official split."""
    return configure(
        method="pca",
        dataset="cifar10",
        protocol="p2",
        normal_class="airplane",
        false_positive_rate=0.05,
    )
