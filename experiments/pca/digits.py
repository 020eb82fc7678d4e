"""Principal components of the pixels on the embedded digits, the yardstick."""

from ocjax.runs import configure


def get_config():
    """One digit normal, the official split."""
    return configure(
        method="pca",
        dataset="digits",
        protocol="p2",
        normal_class="8",
        false_positive_rate=0.05,
    )
