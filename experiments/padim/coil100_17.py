"""PaDiM on 17 objects of COIL-100."""

from ocjax.runs import configure


def get_config():
    """Twenty random objects; pictures are small, and so is `size`."""
    return configure(
        method="padim",
        dataset="coil100_17",
        protocol="p1",
        normal_class="random",
        seeds=20,
        hyper={"size": 112},
    )
