"""Frozen networks against PyTorch's numbers, which `backbone_numbers.py` wrote."""

import pathlib

import frozen_networks
import jax
import numpy as np
import pytest

from ocjax import backbones
from ocjax._checks import InputError
from ocjax.backbones.backbone import NETWORKS, layout

NUMBERS = pathlib.Path(__file__).with_name("backbones.npz")
# What float32 and another order of additions may change, as part of the largest value.
RELATIVE = 4e-6
# And in numbers, where they are small, or cut off at 6 only after such a change.
ABSOLUTE = 1e-4
ABSOLUTELY = ("pooled", "logits", "block10", "block15", "expanded")


def differences(backbone):
    """Of every feature that is kept: the largest difference, and the largest value."""
    with np.load(NUMBERS) as file:
        expected = {
            key.partition(".")[2]: value
            for key, value in file.items()
            if key.partition(".")[0] == backbone.name
        }
    images = np.float32(frozen_networks.pictures() / 127.5 - 1)
    features = jax.jit(backbone.apply, static_argnums=2)(
        backbone.params, images, tuple(expected)
    )
    return {
        name: (
            np.abs(frozen_networks.sample(features[name]) - values).max(),
            np.abs(values).max(),
        )
        for name, values in expected.items()
    }


@pytest.mark.parametrize("number", [0, 1, 2])
def test_efficientnet_lite_is_that_of_the_package(number):
    try:
        backbone = backbones.load(f"efficientnet_lite{number}")
    except InputError as error:
        pytest.skip(str(error))
    for name, (difference, largest) in differences(backbone).items():
        small = name.startswith(ABSOLUTELY)
        assert difference < (ABSOLUTE if small else RELATIVE * largest), name


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "wide_resnet50_2"])
def test_resnets_with_seeded_weights_are_those_of_torchvision(name):
    assert name in NETWORKS
    tensors = frozen_networks.weights(layout(name).tensors)
    backbone = backbones.from_tensors(name, tensors)
    for feature, (difference, largest) in differences(backbone).items():
        assert difference < RELATIVE * largest, feature
