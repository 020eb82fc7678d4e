"""LR-GDAN on 17 objects of COIL-100, after Table 2 of the paper."""

from ocjax.runs import configure


def get_config():
    """Twenty random objects; crops and mirror images as the paper says.

    Objects turn in colour: as wide a network and as long a latent as on CIFAR-10.
    """
    return configure(
        method="lrgdan",
        dataset="coil100_17",
        protocol="p1",
        normal_class="random",
        seeds=20,
        augment="crop flip",
        epochs=150,
        batch_size=16,
        false_positive_rate=0.05,
        hyper={"latent": 128, "features": 64, "learning_rate": 2e-4},
    )
