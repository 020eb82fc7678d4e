"""PaDiM on CIFAR-10."""

from ocjax.runs import configure


def get_config():
    """One class normal, the official split; pictures are small, and so is `size`."""
    return configure(
        method="padim",
        dataset="cifar10",
        protocol="p2",
        normal_class="airplane",
        hyper={"size": 112},
    )
