"""The file that an ONNX runtime alone can run."""

import dataclasses
import json
import re
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_methods

from ocjax import _extras
from ocjax._checks import InputError
from ocjax.inference import archive, onnx, scorer
from ocjax.methods import Method, State, tiling

runtime: Any = pytest.importorskip("onnxruntime", reason="onnxruntime is missing")
protocol: Any = pytest.importorskip("onnx", reason="onnx is missing")

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 1), np.uint8)
CARD = scorer.Card("any", "noise", 32, 1, (1.0, 2.0, 3.0), 0.25, 3.0, "0.1")


def made(name, channels=1, tiles=False):
    """(card, method, state), images; half of the images' scores are anomalous."""
    builder, config = tiny_methods.MAIN[name]
    method, images = builder(config), IMAGES.repeat(channels, -1)
    if tiles:
        method, images = tiling.tiled(method, 32), np.tile(images, (1, 2, 2, 1))[:, :48]
        images = images[:, :, :48]
    size = images.shape[1]
    state = jax.jit(method.init)(jax.random.key(0), jnp.zeros((1, *images.shape[1:])))
    state = tiny_methods.after_passes(method, state, images.shape[1:])
    card = dataclasses.replace(CARD, channels=channels, size=size)
    scores = np.sort(scorer.of_method(card, method, state).score(images))
    # Between two scores, so that rounding decides nothing.
    threshold = float(scores[19:21].mean(dtype=np.float64))
    return (dataclasses.replace(card, threshold=threshold), method, state), images


def same(found, expected, name=""):
    """Asserts that verdicts are equal up to rounding."""
    scale = np.abs(expected.scores).max()
    np.testing.assert_allclose(found.scores, expected.scores, atol=2e-5 * scale)
    np.testing.assert_array_equal(found.anomalous, expected.anomalous)
    difference = np.abs(found.heatmaps - expected.heatmaps).max((1, 2))
    equal = difference <= 1e-5 * expected.heatmaps.max()
    # Gradients jump where rounding decides which of two places is the maximum.
    assert equal.mean() >= (0.9 if name == "ics" else 1)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """An autoencoder and its file."""
    parts, _ = made("autoencoder")
    return parts, onnx.save(tmp_path_factory.mktemp("saved") / "model.onnx", *parts)


@pytest.mark.parametrize("name", tiny_methods.MAIN)
def test_the_file_judges_as_the_method(name, tmp_path):
    parts, images = made(name, channels=3 if name in ("caent", "ics") else 1)
    path = onnx.save(tmp_path / "model.onnx", *parts)
    protocol.checker.check_model(path, full_check=True)
    loaded = onnx.load(path)
    assert loaded.card == parts[0]
    found = loaded.judge(images, explain=True)
    same(found, scorer.of_method(*parts).judge(images, explain=True), name)
    np.testing.assert_array_equal(loaded.score(images), found.scores)


def test_tiles_of_larger_pictures(tmp_path):
    parts, pictures = made("autoencoder", tiles=True)
    loaded = onnx.load(onnx.save(tmp_path / "model.onnx", *parts))
    found = loaded.judge(pictures, explain=True)
    same(found, scorer.of_method(*parts).judge(pictures, explain=True))


def test_any_number_of_images(saved):
    session = runtime.InferenceSession(saved[1], providers=["CPUExecutionProvider"])
    whole = session.run(None, {"images": IMAGES})
    assert [x.dtype for x in whole] == [np.float32, np.bool_, np.float32]
    for count in (1, 5, 40):
        found = session.run(None, {"images": IMAGES[:count]})
        for one, other in zip(found, whole, strict=True):
            np.testing.assert_allclose(one, other[:count], rtol=1e-5, atol=1e-6)
    loaded = onnx.load(saved[1])
    for count in (0, 1, 5, 33):
        scores = loaded.score(IMAGES[:count])
        np.testing.assert_allclose(scores, whole[0][:count], rtol=1e-5)


def test_without_a_threshold_nothing_is_anomalous(saved, tmp_path):
    card, method, state = saved[0]
    card = dataclasses.replace(card, threshold=None)
    path = onnx.save(tmp_path / "model.onnx", card, method, state)
    assert onnx.load(path).judge(IMAGES).anomalous is None
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert not session.run(["anomalous"], {"images": IMAGES})[0].any()


def test_the_file_says_what_it_is(saved):
    model = protocol.load(saved[1])
    found = {entry.key: entry.value for entry in model.metadata_props}
    expected = json.loads(json.dumps(archive.described("onnx", saved[0][0])))
    assert json.loads(found["ocjax"]) == expected
    assert set(found) == {"ocjax", "ocjax_sha256"}
    (given,) = model.graph.input
    shape = [x.dim_param or x.dim_value for x in given.type.tensor_type.shape.dim]
    assert (given.name, shape) == ("images", ["count", 32, 32, 1])
    assert [x.name for x in model.graph.output] == ["scores", "anomalous", "heatmaps"]


def test_floats_are_refused(saved):
    with pytest.raises(InputError, match="takes uint8 images, got float"):
        onnx.load(saved[1]).score(IMAGES / 127.5 - 1)


def test_onnxruntime_alone_runs_it(saved, tmp_path):
    parts, path = saved
    np.save(tmp_path / "images.npy", IMAGES)
    program = f"""
import sys, numpy as np, onnxruntime
providers = ["CPUExecutionProvider"]
session = onnxruntime.InferenceSession({str(path)!r}, providers=providers)
images = np.load({str(tmp_path / "images.npy")!r})
scores, anomalous, heatmaps = session.run(None, {{"images": images}})
assert heatmaps.shape == (40, 32, 32)
assert not {{"jax", "ocjax", "flax", "onnx"}} & set(sys.modules)
print(scores.tolist(), anomalous.tolist(), sep=";")
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    scores, anomalous = map(json.loads, done.stdout.lower().split(";"))
    expected = scorer.of_method(*parts).judge(IMAGES)
    np.testing.assert_allclose(scores, expected.scores, rtol=1e-5)
    np.testing.assert_array_equal(anomalous, expected.anomalous)


def relabel(model, text):
    model.metadata_props[0].value = text


def call_out(model):
    model.graph.node[0].domain = "evil"


def allow_more(model):
    model.opset_import.add(domain="com.microsoft", version=1)


def read_others(model):
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = protocol.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def branch(model):
    model.graph.node[0].attribute.add(
        name="body", type=protocol.AttributeProto.GRAPH, g=protocol.GraphProto()
    )


def swap_outputs(model):
    model.graph.output.reverse()


def rename(model):
    model.graph.node[0].op_type = "Unheard"


def less(model):
    del model.metadata_props[:]


def test_damaged_and_hostile_files_are_refused(saved, tmp_path):
    content, path = saved[1].read_bytes(), tmp_path / "model.onnx"
    described = archive.described("onnx", saved[0][0])
    labelled = lambda **own: lambda model: relabel(model, json.dumps(described | own))
    changes = {
        "its card has no format": less,
        "no model file, or is damaged: ": lambda model: relabel(model, "{"),
        "format 2, this version": labelled(format=2),
        "unknown kind 'stablehlo'": labelled(kind="stablehlo"),
        "damaged card": labelled(size="32"),
        "does not fit its card": labelled(size=16),
        "does not fit its card.": swap_outputs,
        "operations of 'evil'.*not run": call_out,
        "operations of 'com.microsoft'": allow_more,
        "parameters in other files.*not run": read_others,
        "programs inside": branch,
        "damaged program": rename,
    }
    files = {
        "is damaged": content[:-100],
        "no model file": b"text",
        "or is damaged.$": b"",
    }
    for message, change in changes.items():
        model = protocol.load_model_from_string(content)
        change(model)
        files[message] = onnx.sealed(protocol, model.SerializeToString())
    for message, file in files.items():
        path.write_bytes(file)
        with pytest.raises(InputError, match=message) as caught:
            onnx.load(path)
        assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_a_file_of_other_bytes_is_refused(saved, tmp_path):
    """Any bit of the parameters would change the scores without a word."""
    content, path = saved[1].read_bytes(), tmp_path / "model.onnx"
    (largest,) = sorted(
        (x.raw_data for x in protocol.load(saved[1]).graph.initializer), key=len
    )[-1:]
    place = content.index(largest) + len(largest) // 2
    changed = bytearray(content)
    changed[place] ^= 1
    unsealed = protocol.load(saved[1])
    del unsealed.metadata_props[1:]
    for other in (bytes(changed), unsealed.SerializeToString(), content + content):
        path.write_bytes(other)
        with pytest.raises(InputError, match="its checksum differs"):
            onnx.load(path)


def test_missing_packages_are_named(saved, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    message = re.escape(f"need onnxruntime: {_extras.install('onnx')}") + "$"
    with pytest.raises(InputError, match=message):
        onnx.load(saved[1])
    with pytest.raises(InputError, match=message):
        onnx.save(tmp_path / "model.onnx", *saved[0])
    assert not list(tmp_path.iterdir())
    other = tmp_path / "model.txt"
    other.write_text("a text")
    with pytest.raises(InputError, match="is no model file"):
        onnx.load(other)


def test_nothing_is_left_where_writing_fails(saved, tmp_path, monkeypatch):
    refuse = lambda *_: (_ for _ in ()).throw(OSError("no space left"))
    monkeypatch.setattr("pathlib.Path.replace", refuse)
    with pytest.raises(OSError, match="no space"):
        onnx.save(tmp_path / "model.onnx", *saved[0])
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_is_named(tmp_path):
    score = lambda state, x: jnp.cumsum(x.sum((2, 3)), 1)[:, -1]
    method = Method(None, (), score, {}, lambda state, x: x)  # pyright: ignore
    state: State = State({}, {}, {}, jnp.int32(0))  # pyright: ignore
    with pytest.raises(InputError, match="JAX's operation 'cumsum'"):
        onnx.save(tmp_path / "model.onnx", CARD, method, state)
