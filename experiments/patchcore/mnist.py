"""PatchCore on MNIST."""

from ocjax.runs import configure


def get_config():
    """One class normal, the official split; pictures are small, and so is `size`."""
    return configure(
        method="patchcore",
        dataset="mnist",
        protocol="p2",
        normal_class="8",
        hyper={"size": 112},
    )
