"""Nearest neighbours of frozen features on Fashion-MNIST."""

from ocjax.runs import configure


def get_config():
    """One class normal, the official split; pictures are small, and so is `size`."""
    return configure(
        method="knn_features",
        dataset="fashion_mnist",
        protocol="p2",
        normal_class="Sandal",
        hyper={"size": 112},
    )
