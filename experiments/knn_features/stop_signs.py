"""Nearest neighbours of frozen features on attacked stop signs."""

from ocjax.runs import configure


def get_config():
    """Clean signs are normal; pictures are small, and so is `size`."""
    return configure(
        method="knn_features",
        dataset="stop_signs",
        protocol="folder",
        normal_class="clean",
        false_positive_rate=0.05,
        hyper={"size": 112},
    )
