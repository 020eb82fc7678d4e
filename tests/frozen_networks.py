"""Pictures and weights that PyTorch and the tests make alike, so that neither is saved.

All are functions of names, shapes and fixed seeds; NumPy alone is needed.
"""

import numpy as np

SIZE = (75, 61)  # Halved five times, each side is odd and even in turn.
SAMPLED = 17  # One number in so many of each feature is kept; no divisor of channels.


def pictures() -> np.ndarray:
    """Two pictures `uint8 [2, 75, 61, 3]`: smooth shapes, and noise."""
    rng = np.random.default_rng(20)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] / 10.0
    shapes = [np.sin(y + k) * np.cos(x - k) for k in range(3)]
    shapes = 127.5 + 100 * np.stack(shapes, -1)
    noise = rng.integers(0, 256, (*SIZE, 3))
    return np.stack([shapes, noise]).astype(np.uint8)


def weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Random tensors of a state dict, each a function of its place among the names."""
    tensors = {}
    for seed, name in enumerate(sorted(shapes)):
        rng, shape = np.random.default_rng(seed), shapes[name]
        if len(shape) > 1:
            deviation = np.float32(np.sqrt(2 / np.prod(shape[1:])))
            tensors[name] = rng.standard_normal(shape, np.float32) * deviation
        elif name.endswith(("running_var", "weight")):
            tensors[name] = rng.uniform(0.4, 1.2, shape).astype(np.float32)
        else:
            tensors[name] = rng.normal(0, 0.2, shape).astype(np.float32)
    return tensors


def sample(feature: np.ndarray) -> np.ndarray:
    """A part of a feature: its numbers in places that are `SAMPLED` apart."""
    return np.ravel(feature)[::SAMPLED]
