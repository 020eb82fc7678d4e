"""LR-GDAN on CIFAR-10, Figure 6 of the paper, which prints no numbers."""

from ocjax.runs import configure


def get_config():
    """The paper's weights; a longer latent, of which it is silent."""
    return configure(
        method="lrgdan",
        dataset="cifar10",
        protocol="p2",
        normal_class="airplane",
        epochs=15,  # The paper is silent; as on MNIST.
        batch_size=64,
        false_positive_rate=0.05,
        hyper={"latent": 128},
    )
