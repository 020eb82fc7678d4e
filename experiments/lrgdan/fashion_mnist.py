"""LR-GDAN on Fashion-MNIST, Table 2 of the paper: pooled, 80/20, half anomalies."""

from ocjax.runs import configure


def get_config():
    """The paper's weights, protocol, crops and mirror images."""
    return configure(
        method="lrgdan",
        dataset="fashion_mnist",
        protocol="p1",
        normal_class="Sandal",
        augment="crop flip",
        steps=3_000,  # The paper is silent; as on MNIST.
        schedule="decay",
        batch_size=64,
        false_positive_rate=0.05,
    )
