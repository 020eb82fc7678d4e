"""Nearest neighbours of frozen features on the embedded digits."""

from ocjax.runs import configure


def get_config():
    """One digit normal, the official split; pictures are small, and so is `size`."""
    return configure(
        method="knn_features",
        dataset="digits",
        protocol="p2",
        normal_class="8",
        hyper={"size": 112},
    )
