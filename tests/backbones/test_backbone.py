"""A backbone gives the features that it is asked for, and says what they are."""

import jax
import networks
import numpy as np
import pytest

from ocjax import backbones
from ocjax._checks import InputError
from ocjax.backbones.backbone import layout


def images(size=(40, 33), channels=3, count=2):
    rng = np.random.default_rng(0)
    return rng.uniform(-1, 1, (count, *size, channels)).astype(np.float32)


def test_lite0_has_the_blocks_of_its_table():
    features = networks.random().features
    blocks = [features[f"block{n}"] for n in range(16)]
    assert [block.channels for block in blocks] == (
        [16] + [24] * 2 + [40] * 2 + [80] * 3 + [112] * 3 + [192] * 4 + [320]
    )
    assert [block.stride for block in blocks] == (
        [2] + [4] * 2 + [8] * 2 + [16] * 6 + [32] * 5
    )
    # Six times the channels that come in, at their stride.
    assert features["expanded5"] == (240, 8)
    assert features["expanded11"] == (672, 16)
    assert features["pooled"] == (1280, None)
    assert features["logits"] == (1000, None)
    assert "expanded0" not in features


def test_maps_are_the_last_at_their_strides():
    lite, wide = networks.random(), layout("wide_resnet50_2")
    assert lite.maps == {
        2: "block0",
        4: "block2",
        8: "block4",
        16: "block10",
        32: "block15",
    }
    assert lite.expanded[8] == "expanded5"
    assert lite.expanded[16] == "expanded11"
    resnet = networks.random("resnet18")
    assert resnet.maps == {4: "layer1", 8: "layer2", 16: "layer3", 32: "layer4"}
    assert resnet.expanded == {}
    channels = [feature.channels for feature in wide.features.values()]
    assert channels == [256, 512, 1024, 2048, 2048]


@pytest.mark.parametrize("size", [(40, 33), (1, 1)])
def test_shapes_are_those_that_features_say(size):
    backbone = networks.random()
    names = tuple(backbone.features)
    shapes = jax.eval_shape(
        lambda x: backbone.apply(backbone.params, x, names), images(size)
    )
    for name, (channels, stride) in backbone.features.items():
        places = [-(-n // stride) for n in size] if stride else []
        assert shapes[name].shape == (2, *places, channels), name
        assert shapes[name].dtype == np.float32


def test_nothing_is_computed_behind_what_is_asked_for():
    backbone = networks.random()

    def operations(*names):
        function = lambda x: backbone.apply(backbone.params, x, names)
        return str(jax.make_jaxpr(function)(images())).count("dot_general")

    # One product for block 0, two for each later one, and one for an expansion alone.
    assert operations("block0") == 1
    assert operations("block4") == 9
    assert operations("expanded5") == 10
    assert operations("expanded5", "block0", "expanded5") == 10
    assert operations("pooled") == 32
    assert operations("logits") == 33


@pytest.fixture(scope="module")
def compiled():
    backbone = networks.random()
    names = ("block2", "expanded5")
    return jax.jit(lambda x: backbone.apply(backbone.params, x, names))


def test_grey_images_are_those_of_three_equal_channels(compiled):
    grey = images(channels=1)
    alone, repeated = compiled(grey), compiled(np.repeat(grey, 3, -1))
    for name in alone:
        np.testing.assert_array_equal(alone[name], repeated[name])


def test_features_of_an_image_are_those_in_company(compiled):
    three = images(count=3)
    together, alone = compiled(three), compiled(three[1:2])
    for name in alone:
        np.testing.assert_allclose(together[name][1:2], alone[name], atol=1e-5)


def test_an_unknown_feature_is_named_beside_the_near_ones():
    backbone = networks.random()
    with pytest.raises(InputError, match="feature of efficientnet_lite0 'block16'"):
        backbone.apply(backbone.params, images(), ["block1", "block16"])


def test_normalization_lies_inside_the_convolution_before_it():
    tensors = networks.tensors("resnet18")
    backbone = backbones.from_tensors("resnet18", tensors)
    name, norm = "layer2.0.downsample.0", "layer2.0.downsample.1"
    x = np.random.default_rng(1).normal(size=64)
    kernel = tensors[f"{name}.weight"][:, :, 0, 0].astype(np.float64)
    mean, variance = (tensors[f"{norm}.running_{x}"] for x in ("mean", "var"))
    expected = (kernel @ x - mean) / np.sqrt(variance + 1e-5)
    expected = expected * tensors[f"{norm}.weight"] + tensors[f"{norm}.bias"]
    folded = backbone.params[name]
    assert folded["kernel"].dtype == folded["bias"].dtype == np.float32
    found = x @ folded["kernel"][0, 0] + folded["bias"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
