"""CAE-Ent on MNIST, Table 2 of the paper: one digit normal."""

from ocjax.runs import configure


def get_config():
    """The paper's batch size, learning rate and protocol."""
    return configure(
        method="caent",
        dataset="mnist",
        protocol="p2",
        normal_class="8",
        steps=12_000,  # At most, as GANomaly's 15 epochs of nine digits have.
        until="converged",  # As in the paper.
        batch_size=64,
        false_positive_rate=0.05,
    )
