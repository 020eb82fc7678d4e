"""CAE-Ent on MNIST, Table 2 of the paper: one digit normal."""

from ocjax.runs import configure


def get_config():
    """The paper's batch size, learning rate and protocol."""
    return configure(
        method="caent",
        dataset="mnist",
        protocol="p2",
        normal_class="8",
        epochs=15,  # The paper trains "until convergence".
        batch_size=64,
        false_positive_rate=0.05,
    )
