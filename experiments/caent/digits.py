"""CAE-Ent on the embedded digits: the first minute. No paper reports it."""

from ocjax.runs import configure


def get_config():
    """One digit normal, the official split."""
    return configure(
        method="caent",
        dataset="digits",
        protocol="p2",
        normal_class="8",
        epochs=100,
        batch_size=32,
        false_positive_rate=0.05,
    )
