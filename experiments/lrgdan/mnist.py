"""LR-GDAN on MNIST, Table 1 of the paper; Table 2 with protocol p1."""

from ocjax.runs import configure


def get_config():
    """The paper's weights; one digit normal, the official split.

    The paper crops and mirrors all training images. Here they are left alone: a
    mirrored digit is another sign, and digits are centred.
    """
    return configure(
        method="lrgdan",
        dataset="mnist",
        protocol="p2",
        normal_class="8",
        steps=12_000,  # The paper is silent; as GANomaly's 15 epochs of nine digits.
        batch_size=64,
        false_positive_rate=0.05,
    )
