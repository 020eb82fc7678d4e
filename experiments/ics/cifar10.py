"""Data splitting on CIFAR-10, Table 1 of the paper: one class normal.

The paper says how large a batch is, not how long it trains. Its authors' code takes 800
steps, each on 256 images: 48 epochs of batches of 256.
"""

from ocjax.runs import configure


def get_config():
    """The paper's protocol; learning rates and length of the code.

    Each constraint compares a quarter of a batch in pairs: 64, as in the paper, whose
    batches have 64 images, and in the code.
    """
    return configure(
        method="ics",
        dataset="cifar10",
        protocol="p2",
        normal_class="airplane",
        epochs=48,
        batch_size=256,
        false_positive_rate=0.05,
    )
