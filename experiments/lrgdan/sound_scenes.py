"""LR-GDAN on sounds in six scenes, after Table 3 of the paper."""

from ocjax.runs import configure


def get_config():
    """One detector for each scene; images are spectrograms.

    Of 64x64, for which the networks are wider than for digits, and the latent longer.
    """
    return configure(
        method="lrgdan",
        dataset="sound_scenes",
        protocol="folder",
        normal_class="all",
        image_size=64,
        epochs=60,
        batch_size=16,
        false_positive_rate=0.05,
        hyper={"latent": 32, "features": 64, "learning_rate": 2e-4},
    )
