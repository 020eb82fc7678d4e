"""CAE-Ent on Fashion-MNIST, which the paper does not report."""

from ocjax.runs import configure


def get_config():
    """As on MNIST."""
    return configure(
        method="caent",
        dataset="fashion_mnist",
        protocol="p2",
        normal_class="Sandal",
        steps=12_000,
        until="converged",
        batch_size=64,
        false_positive_rate=0.05,
    )
