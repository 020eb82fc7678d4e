"""Pictures that tests write: grey noise, and a bright square where it is spoilt."""

import pathlib

import numpy as np
from PIL import Image

RNG = np.random.default_rng(0)


def picture(path: pathlib.Path, spoilt: bool = False) -> None:
    """Writes one, another each time."""
    pixels = RNG.integers(0, 80, (40, 36), np.uint8)
    if spoilt:
        pixels[8:30, 8:30] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
