"""Skip-GANomaly on CIFAR-10, a baseline: one class normal, the official split."""

from ocjax.runs import configure


def get_config():
    """The code's settings and its epochs on CIFAR-10."""
    return configure(
        method="skip_ganomaly",
        dataset="cifar10",
        protocol="p2",
        normal_class="airplane",
        epochs=25,
        batch_size=64,
        false_positive_rate=0.05,
    )
