"""GANomaly on CIFAR-10, Table 2 of the paper: one class anomalous, nine normal."""

from ocjax.runs import configure


def get_config():
    """The paper's protocol and epochs; learning rate and sizes of the code."""
    return configure(
        method="ganomaly",
        dataset="cifar10",
        protocol="ganomaly",
        anomalous_class="airplane",
        epochs=25,
        batch_size=64,
        false_positive_rate=0.05,
    )
