"""GANomaly on MNIST, Table 1 of the paper: one digit anomalous, nine normal."""

from ocjax.runs import configure


def get_config():
    """The paper's protocol and epochs; learning rate and sizes of the code."""
    return configure(
        method="ganomaly",
        dataset="mnist",
        protocol="ganomaly",
        anomalous_class="0",
        epochs=15,
        batch_size=64,
        false_positive_rate=0.05,
    )
