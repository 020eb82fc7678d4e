"""CAE-Ent on 17 objects of COIL-100, after Table 1 of the paper."""

from ocjax.runs import configure


def get_config():
    """The paper's batches and twenty random objects."""
    return configure(
        method="caent",
        dataset="coil100_17",
        protocol="p1",
        normal_class="random",
        seeds=20,
        epochs=150,
        batch_size=15,
        false_positive_rate=0.05,
    )
