"""LR-GDAN on the embedded digits: the first minute. No paper reports it."""

from ocjax.runs import configure


def get_config():
    """One digit normal, the official split; half the channels, for a quick start."""
    return configure(
        method="lrgdan",
        dataset="digits",
        protocol="p2",
        normal_class="8",
        epochs=60,
        batch_size=32,
        false_positive_rate=0.05,
        hyper={"features": 32, "units": 256},
    )
