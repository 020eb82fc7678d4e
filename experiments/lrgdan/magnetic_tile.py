"""LR-GDAN on the surfaces of magnetic tiles; in no paper."""

from ocjax.runs import configure


def get_config():
    """A folder of pictures, as an inspection has them.

    Of 64x64, for which the networks are wider than for digits, and the latent longer.
    """
    return configure(
        method="lrgdan",
        dataset="magnetic_tile",
        protocol="folder",
        normal_class="good",
        image_size=64,
        epochs=60,
        batch_size=32,
        false_positive_rate=0.05,
        hyper={"latent": 32, "features": 64, "learning_rate": 2e-4},
    )
