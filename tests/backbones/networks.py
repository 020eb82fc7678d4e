"""Frozen networks with random weights, for tests that need no trained ones."""

import functools

import frozen_networks
import numpy as np

from ocjax import backbones
from ocjax.backbones.backbone import layout


def tensors(name: str) -> dict[str, np.ndarray]:
    """A state dict of a network."""
    return frozen_networks.weights(layout(name).tensors)


@functools.cache
def random(name: str = "efficientnet_lite0") -> backbones.Backbone:
    """The network with these weights."""
    return backbones.from_tensors(name, tensors(name))
