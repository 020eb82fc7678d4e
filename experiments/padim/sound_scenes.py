"""PaDiM on spectrograms of six scenes."""

from ocjax.runs import configure


def get_config():
    """Each scene normal in turn; pictures are small, and so is `size`."""
    return configure(
        method="padim",
        dataset="sound_scenes",
        protocol="folder",
        normal_class="all",
        image_size=64,
        false_positive_rate=0.05,
        hyper={"size": 112},
    )
