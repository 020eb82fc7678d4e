"""Scores of pixels and of a discriminator's features, each against a reconstruction.

Both AnoGAN's heirs here, Skip-GANomaly and CAE-Ent, score an image by
`lambda R(x) + (1 - lambda) L(x)`: how far its pixels are from their reconstruction, and
how far its features are from those of the reconstruction.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

from ocjax.losses import latent, reconstruction


class Parts(NamedTuple):
    """The two parts of a score, each zero or least where nothing differs."""

    pixels: Callable  # (images, reconstructions) -> [B]
    features: Callable  # (features, features of the reconstructions) -> [B]


# Parts by the names that configurations use: means of squares, as Skip-GANomaly's code
# has them, or the norms that the papers write, of which pixels' is far the larger.
PARTS = {
    "squares": Parts(reconstruction.squared_error, latent.squared_error),
    "norms": Parts(
        functools.partial(reconstruction.l1, reduction="sum"), latent.euclidean
    ),
}
