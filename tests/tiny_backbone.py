"""A frozen network of random weights, small and known by name, in a file.

It has the blocks of EfficientNet-Lite, 8 channels wide, and is for pictures of 32
pixels: 4x4 places of stride 8.
"""

import atexit
import pathlib
import shutil
import tempfile
from typing import Any

import frozen_networks
import numpy as np

from ocjax.backbones import backbone
from ocjax.backbones.efficientnet_lite import EfficientNetLite

NAME, SIZE, GRID = "tiny", 32, 4
backbone.NETWORKS[NAME] = backbone.Network(EfficientNetLite(0.1, 0.1), SIZE)
_FOLDER = pathlib.Path(tempfile.mkdtemp(prefix="ocjax-tiny-"))
atexit.register(shutil.rmtree, _FOLDER, ignore_errors=True)
WEIGHTS = str(_FOLDER / "tiny.npz")
_TENSORS: Any = frozen_networks.weights(backbone.layout(NAME).tensors)
np.savez(WEIGHTS, **_TENSORS)
OPTIONS = {"backbone": NAME, "weights": WEIGHTS, "size": SIZE}
