"""Nearest neighbours of frozen features on the surfaces of magnetic tiles."""

from ocjax.runs import configure


def get_config():
    """A folder of pictures, as an inspection has them; all else by default."""
    return configure(
        method="knn_features",
        dataset="magnetic_tile",
        protocol="folder",
        normal_class="good",
    )
