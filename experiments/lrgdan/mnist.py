"""LR-GDAN on MNIST, Table 1 of the paper; Table 2 with protocol p1."""

from ocjax.runs import configure


def get_config():
    """The paper's weights; one digit normal, the official split.

    The paper crops and mirrors all training images. Here they are left alone: a
    mirrored digit is another sign, and digits are centred.

    The paper states the first learning rate alone. It decays as GPND's does; before the
    second decay the error of held-out normals is flat, and after it it falls little.
    """
    return configure(
        method="lrgdan",
        dataset="mnist",
        protocol="p2",
        normal_class="8",
        steps=3_000,
        schedule="decay",
        batch_size=64,
        false_positive_rate=0.05,
    )
