"""The file that JAX alone can run."""

import dataclasses
import io
import json
import pathlib
import struct
import subprocess
import sys
import zipfile
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny_methods
from collected import each
from jax import export

from ocjax._checks import InputError
from ocjax.inference import archive, scorer, stablehlo

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 1), np.uint8)
CARD = scorer.Card("any", "noise", 32, 1, (1.0, 2.0, 3.0), 0.25, 3.0, "0.1")


def made(name, channels=1):
    """(card, method, state); the threshold is the median of the images' scores."""
    builder, config = tiny_methods.MAIN[name]
    method = builder(config)
    shape = jnp.zeros((1, 32, 32, channels))
    state = jax.jit(method.init)(jax.random.key(0), shape)
    images = IMAGES.repeat(channels, -1)
    state = tiny_methods.after_passes(method, state, images.shape[1:])
    card = dataclasses.replace(CARD, channels=channels)
    scores = scorer.of_method(card, method, state).score(images)
    return (
        dataclasses.replace(card, threshold=float(np.sort(scores)[20])),
        method,
        state,
    )


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """An autoencoder and its file."""
    parts = made("autoencoder")
    path = tmp_path_factory.mktemp("saved") / "model.ocjax"
    return parts, stablehlo.save(path, *parts)


@pytest.mark.parametrize("name", tiny_methods.MAIN)
def test_the_file_judges_as_the_method(name, tmp_path):
    parts = made(name, channels=3 if name == "caent" else 1)
    loaded = stablehlo.load(archive.read(stablehlo.save(tmp_path / "m", *parts)))
    assert loaded.card == parts[0]
    images = IMAGES.repeat(parts[0].channels, -1)
    expected: Any = scorer.of_method(*parts).judge(images, explain=True)
    found: Any = loaded.judge(images, explain=True)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(loaded.judge(images).scores, found.scores)
    for count in (0, 1, 33):
        part = loaded.judge(images[:count], explain=True)
        np.testing.assert_allclose(part.scores, found.scores[:count], rtol=1e-5)


def test_it_does_not_tell_where_the_source_lies(saved):
    folder = pathlib.Path(stablehlo.__file__).parents[1]
    assert str(folder).encode() not in saved[1].read_bytes()


def test_floats_are_refused(saved):
    loaded = stablehlo.load(archive.read(saved[1]))
    with pytest.raises(InputError, match="takes uint8 images, got float"):
        loaded.score(IMAGES / 127.5 - 1)


def test_jax_alone_runs_it(saved, tmp_path):
    (card, method, state), path = saved
    np.save(tmp_path / "images.npy", IMAGES)
    program = f"""
import sys, zipfile, jax, numpy as np
content = zipfile.ZipFile({str(path)!r}).read("program.jaxexport")
judge = jax.export.deserialize(bytearray(content)).call
scores, anomalous, heatmaps = judge(np.load({str(tmp_path / "images.npy")!r}))
assert heatmaps.shape == (40, 32, 32)
assert not {{"ocjax", "flax", "optax", "orbax"}} & set(sys.modules)
print(np.asarray(scores).tolist(), np.asarray(anomalous).tolist(), sep=";")
"""
    command = [sys.executable, "-c", "import jax.export\n" + program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    scores, anomalous = map(json.loads, done.stdout.lower().split(";"))
    expected = scorer.of_method(card, method, state).judge(IMAGES)
    np.testing.assert_allclose(scores, expected.scores, rtol=1e-5)
    np.testing.assert_array_equal(anomalous, expected.anomalous)


def change(path, **members):
    with zipfile.ZipFile(path) as file:
        content = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w") as file:
        for name, own in (content | members).items():
            file.writestr(name, own)


def program(function, *like):
    """What `function` exports to."""
    images = jax.ShapeDtypeStruct((export.symbolic_shape("n")[0], *like), jnp.uint8)
    safe = [export.DisabledSafetyCheck.custom_call("lapack_sgeqrf")]
    exported = export.export(jax.jit(function), disabled_checks=safe)(images)
    return bytes(exported.serialize())


def calls_out(x):
    scores = x.astype(jnp.float32).sum((1, 2, 3))
    shape = jax.ShapeDtypeStruct((3, 3), jnp.float32)
    found = jax.ffi.ffi_call("lapack_sgeqrf", shape)(jnp.eye(3))
    return scores, scores > 1, x[..., 0] + found[0, 0]


def test_damaged_and_hostile_files_are_refused(saved, tmp_path):
    whole, path = saved[1].read_bytes(), tmp_path / "model.ocjax"
    card = json.loads(zipfile.ZipFile(saved[1]).read("card.json"))
    other = lambda x: (x.sum((1, 2, 3)), x.sum((1, 2, 3)) > 1)
    damage = {
        "is no model file|is damaged": lambda: path.write_bytes(whole[:-100]),
        "no model file": lambda: path.write_text("text"),
        "damaged program": lambda: change(path, **{"program.jaxexport": b"hostile"}),
        "damaged program: ": lambda: change(path, **{"program.jaxexport": bytes(1000)}),
        "does not fit its card": lambda: change(
            path, **{"program.jaxexport": program(other, 32, 32, 1)}
        ),
        "format 2, this version": lambda: change(
            path, **{"card.json": json.dumps(card | {"format": 2})}
        ),
        "damaged card": lambda: change(
            path, **{"card.json": json.dumps(card | {"size": "32"})}
        ),
        "damaged card: ": lambda: change(
            path, **{"card.json": json.dumps(card | {"more": 1})}
        ),
        "is damaged": lambda: change(path, **{"card.json": b"{"}),
        "is damaged: maximum recursion": lambda: change(
            path, **{"card.json": b"[" * 100_000}
        ),
    }
    for message, do in damage.items():
        path.write_bytes(whole)
        do()
        with pytest.raises(InputError, match=message) as caught:
            stablehlo.load(archive.read(path))
        assert "\n" not in str(caught.value) and str(path) in str(caught.value)


@each(
    "field, value",
    [
        ("threshold", "0.5"),
        ("threshold", float("nan")),
        ("threshold", 10**400),
        ("threshold", True),
        ("false_positive_rate", 1.5),
        ("false_positive_rate", [0.1]),
        ("normals", [1, "2"]),
        ("normals", [2.0, 1.0]),
        ("normals", [1.0, float("inf")]),
        ("normals", None),
        ("method", None),
        ("trained_on", "x" * 100_000),
        ("version", 3),
        ("commit", ["a"]),
        ("kind", {}),
        ("channels", 2),
        ("size", 10**9),
        ("format", "x" * 100_000),
        ("format", [1]),
    ],
)
def test_a_card_of_other_values_is_refused(saved, tmp_path, field, value):
    path = tmp_path / "model.ocjax"
    path.write_bytes(saved[1].read_bytes())
    card = json.loads(zipfile.ZipFile(path).read("card.json"))
    change(path, **{"card.json": json.dumps(card | {field: value})})
    with pytest.raises(InputError, match="damaged card|of format") as caught:
        archive.read(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_arrays_that_need_more_memory_than_the_file_has_bytes_are_refused():
    told = {"descr": "<f4", "fortran_order": False, "shape": (2**20, 2**20, 2**20)}
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, told)
    vast, small, objects = io.BytesIO(), io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(vast, "w") as file:
        file.writestr("0.npy", header.getvalue())
    np.savez_compressed(small, **{"0": np.zeros(10**6)})  # pyright: ignore
    np.savez(objects, **{"0": np.array([{}], object)})  # pyright: ignore
    for hostile, message in (
        (vast, "Unable to allocate"),
        (small, "compressed or too large"),
        (objects, "Object arrays cannot be loaded"),
    ):
        with pytest.raises(Exception, match=message):
            archive.arrays(hostile.getvalue())
    whole, arrays = io.BytesIO(), [np.arange(12.0).reshape(3, 4), np.ones(())]
    np.savez(whole, **{str(i): x for i, x in enumerate(arrays)})  # pyright: ignore
    for array, found in zip(arrays, archive.arrays(whole.getvalue()), strict=True):
        np.testing.assert_array_equal(found, array)


def test_members_that_claim_more_than_the_file_holds_are_refused(saved, tmp_path):
    path, content = tmp_path / "model.ocjax", bytearray(saved[1].read_bytes())
    place = content.rindex(b"PK\x01\x02")
    content[place + 20 : place + 28] = struct.pack("<II", 2**30, 2**30)
    path.write_bytes(content)
    with pytest.raises(InputError, match="compressed or too large"):
        archive.read(path)


def test_a_program_that_calls_out_is_not_run(saved, tmp_path):
    path = tmp_path / "model.ocjax"
    path.write_bytes(saved[1].read_bytes())
    change(path, **{"program.jaxexport": program(calls_out, 32, 32, 1)})
    with pytest.raises(InputError, match="calls lapack_sgeqrf.*not run"):
        stablehlo.load(archive.read(path))


def test_compressed_members_are_refused(saved, tmp_path):
    path = tmp_path / "bomb.ocjax"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("card.json", b" " * 10**6)
    with pytest.raises(InputError, match="compressed or too large"):
        archive.read(path)


def test_nothing_is_left_where_writing_fails(saved, tmp_path, monkeypatch):
    refuse = lambda *_: (_ for _ in ()).throw(OSError("no space left"))
    monkeypatch.setattr(zipfile.ZipFile, "writestr", refuse)
    with pytest.raises(OSError, match="no space"):
        archive.write(tmp_path / "m.ocjax", "stablehlo", CARD, {})
    assert list(tmp_path.iterdir()) == []
