"""PaDiM on attacked stop signs."""

from ocjax.runs import configure


def get_config():
    """Clean signs are normal; pictures are small, and so is `size`."""
    return configure(
        method="padim",
        dataset="stop_signs",
        protocol="folder",
        normal_class="clean",
        seeds=3,
        false_positive_rate=0.05,
        hyper={"size": 112},
    )
