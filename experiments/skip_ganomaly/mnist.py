"""Skip-GANomaly on MNIST, a baseline: one class normal, the official split."""

from ocjax.runs import configure


def get_config():
    """The code's settings and its default number of epochs."""
    return configure(
        method="skip_ganomaly",
        dataset="mnist",
        protocol="p2",
        normal_class="8",
        epochs=15,
        batch_size=64,
        false_positive_rate=0.05,
    )
