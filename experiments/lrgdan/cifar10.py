"""LR-GDAN on CIFAR-10, Figure 5 of the paper, which prints no numbers."""

from ocjax.runs import configure


def get_config():
    """The paper's weights, crops and mirror images.

    Photographs vary more than digits: wider networks, as GANomaly's, and a longer
    latent, as ADAE's on these pictures. The paper is silent of both.
    """
    return configure(
        method="lrgdan",
        dataset="cifar10",
        protocol="p2",
        normal_class="airplane",
        augment="crop flip",
        steps=17_000,  # The paper is silent; as GANomaly's 25 epochs of nine classes.
        batch_size=64,
        false_positive_rate=0.05,
        hyper={"latent": 128, "features": 64, "learning_rate": 2e-4},
    )
