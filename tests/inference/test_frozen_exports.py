"""Exported files of methods on frozen networks judge as the methods."""

import functools
from typing import Any

import jax
import numpy as np
import pytest
import tiny_backbone

from ocjax import training
from ocjax.inference import archive, onnx, scorer, stablehlo
from ocjax.inference.onnx import _trace
from ocjax.methods import METHODS

SIZE = 40  # Resized to the network's 32 inside.
IMAGES = np.random.default_rng(0).integers(0, 256, (9, SIZE, SIZE, 1), np.uint8)
TRAINING, OTHERS = IMAGES[:6], IMAGES[6:]
CHANGES = {
    "padim": {"dimensions": 6},
    "patchcore": {"coreset": 0.1},
    "knn_features": {},
    "mahalanobis_features": {},
}


@functools.cache
def made(name):
    """(card, method, state)."""
    config, build = METHODS[name]
    method = build(config(**tiny_backbone.OPTIONS, **CHANGES[name]))
    state = training.fit(method, TRAINING, jax.random.key(0), epochs=1, batch_size=6)
    card = scorer.Card(name, "noise", SIZE, 1, (1.0, 2.0), 0.25, 2.0, "0", None, "tiny")
    return card, method, state


def same(found: Any, expected: Any):
    scale = np.abs(expected.scores).max()
    np.testing.assert_allclose(found.scores, expected.scores, atol=2e-5 * scale)
    largest = expected.heatmaps.max()
    np.testing.assert_allclose(found.heatmaps, expected.heatmaps, atol=1e-4 * largest)


@pytest.mark.parametrize("name", CHANGES)
def test_a_program_of_jax_judges_as_the_method(name, tmp_path):
    parts = made(name)
    loaded = stablehlo.load(archive.read(stablehlo.save(tmp_path / "m", *parts)))
    expected = scorer.of_method(*parts).judge(OTHERS, explain=True)
    same(loaded.judge(OTHERS, explain=True), expected)
    assert loaded.card == parts[0]


@pytest.mark.parametrize("name", CHANGES)
def test_a_program_of_onnx_judges_as_the_method(name, tmp_path):
    protocol: Any = pytest.importorskip("onnx", reason="onnx is missing")
    pytest.importorskip("onnxruntime", reason="onnxruntime is missing")
    parts = made(name)
    path = onnx.save(tmp_path / "m.onnx", *parts)
    protocol.checker.check_model(path, full_check=True)
    loaded = onnx.load(path)
    expected = scorer.of_method(*parts).judge(OTHERS, explain=True)
    same(loaded.judge(OTHERS, explain=True), expected)


def test_what_is_kept_in_half_precision_is_written_so(tmp_path, monkeypatch):
    protocol: Any = pytest.importorskip("onnx", reason="onnx is missing")
    pytest.importorskip("onnxruntime", reason="onnxruntime is missing")
    parts = made("padim")
    wide = onnx.save(tmp_path / "wide.onnx", *parts)
    monkeypatch.setattr(_trace, "LARGE", 0)
    path = onnx.save(tmp_path / "narrow.onnx", *parts)
    half = protocol.TensorProto.FLOAT16
    types = {x.data_type for x in protocol.load(path).graph.initializer}
    assert half in types
    assert half not in {x.data_type for x in protocol.load(wide).graph.initializer}
    # 16 places of 6 x 6 numbers, two bytes each instead of four.
    assert wide.stat().st_size - path.stat().st_size > 16 * 6 * 6 * 2 - 500
    expected = scorer.of_method(*parts).judge(OTHERS, explain=True)
    same(onnx.load(path).judge(OTHERS, explain=True), expected)
