"""Data splitting on the embedded digits: the first minute. No paper reports it."""

from ocjax.runs import configure


def get_config():
    """One digit normal, the official split.

    After the 50 epochs of the code, here 150 steps, the running statistics of Keras's
    BatchNorm have not arrived, and the similarity of training images to what the
    autoencoder makes of them is 0.04; after 300 epochs it is 0.96.
    """
    return configure(
        method="ics",
        dataset="digits",
        protocol="p2",
        normal_class="8",
        epochs=100,
        batch_size=32,
        false_positive_rate=0.05,
        hyper={"splitting_epochs": 300},
    )
