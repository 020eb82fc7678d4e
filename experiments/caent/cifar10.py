"""CAE-Ent on CIFAR-10, Tables 3 and 4 of the paper: one class normal."""

from ocjax.runs import configure


def get_config():
    """The paper's batch size, learning rate and protocol."""
    return configure(
        method="caent",
        dataset="cifar10",
        protocol="p2",
        normal_class="airplane",
        steps=17_000,  # At most, as GANomaly's 25 epochs of nine classes have.
        until="converged",  # As in the paper.
        batch_size=64,
        false_positive_rate=0.05,
    )
