"""Pictures of noise to measure with."""

import numpy as np
from PIL import Image


def smooth(rng: np.random.Generator, side: int) -> Image.Image:
    """A picture of smooth noise in colour, `side` pixels high and wide."""
    coarse = rng.integers(0, 256, (side // 8, side // 8, 3), np.uint8)
    return Image.fromarray(coarse).resize((side, side))
