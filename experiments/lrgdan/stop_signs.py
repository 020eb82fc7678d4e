"""LR-GDAN on attacked stop signs, Table 4 of the paper, on attacks of our own."""

from ocjax.runs import configure


def get_config():
    """The paper's weights and crops; signs are not mirrored.

    Photographs in colour: wider networks than digits need, and a longer latent.
    """
    return configure(
        method="lrgdan",
        dataset="stop_signs",
        protocol="folder",
        normal_class="clean",
        seeds=3,
        augment="crop",
        epochs=60,
        batch_size=64,
        false_positive_rate=0.05,
        hyper={"latent": 32, "features": 64, "learning_rate": 2e-4},
    )
