import os

import numpy as np
import pytest
from absl import logging

from ocjax.data import cache

NAMES = ("images", "names")


@pytest.fixture
def warnings(monkeypatch):
    """What was logged as a warning."""
    said = []
    monkeypatch.setattr(
        logging, "warning", lambda text, *args: said.append(text % args)
    )
    return said


def arrays():
    return {"images": np.arange(12, dtype=np.uint8), "names": np.array(["a", "bc"])}


def unexpected():
    raise AssertionError("The arrays are in the cache, and were made again.")


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])
        assert found[name].dtype == expected[name].dtype


def test_arrays_are_made_once_and_then_read(cache_folder, warnings):
    assert_equal(cache.cached("key", NAMES, arrays), arrays())
    assert_equal(cache.cached("key", NAMES, unexpected), arrays())
    assert os.listdir(cache_folder) == ["key.npz"]
    assert not warnings


def test_another_key_is_another_entry():
    cache.cached("key", NAMES, arrays)
    assert_equal(cache.cached("other", (), dict), {})


def test_a_flipped_bit_anywhere_is_never_read_as_data(cache_folder, warnings):
    cache.cached("key", NAMES, arrays)
    path = cache_folder / "key.npz"
    intact = path.read_bytes()
    for position in range(len(intact)):
        damaged = bytearray(intact)
        damaged[position] ^= 4
        path.write_bytes(damaged)
        assert_equal(cache.cached("key", NAMES, arrays), arrays())


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
def test_a_truncated_file_is_noticed_and_made_anew(cache_folder, warnings, kept):
    cache.cached("key", NAMES, arrays)
    path = cache_folder / "key.npz"
    path.write_bytes(path.read_bytes()[:kept])
    assert_equal(cache.cached("key", NAMES, arrays), arrays())
    assert len(warnings) == 1 and "key.npz" in warnings[0]
    assert_equal(cache.cached("key", NAMES, unexpected), arrays())


def test_an_interrupted_write_leaves_nothing_behind(cache_folder, monkeypatch):
    def interrupted(file, **kwargs):
        file.write(b"half")
        assert not (cache_folder / "key.npz").exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cache.cached("key", NAMES, arrays)
    assert os.listdir(cache_folder) == []


def test_a_full_disk_costs_only_time(cache_folder, monkeypatch, warnings):
    def full(file, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    assert_equal(cache.cached("key", NAMES, arrays), arrays())
    assert os.listdir(cache_folder) == []
    assert len(warnings) == 1 and "No space left" in warnings[0]


def test_an_unusable_folder_costs_only_time(tmp_path, monkeypatch, warnings):
    (tmp_path / "file").touch()
    monkeypatch.setenv("OCJAX_CACHE", str(tmp_path / "file"))
    assert_equal(cache.cached("key", NAMES, arrays), arrays())
    assert any("Cannot keep" in warning for warning in warnings)


def test_the_folder_follows_the_environment(tmp_path, monkeypatch):
    assert cache.folder() == tmp_path / "cache"
    monkeypatch.delenv("OCJAX_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "ocjax"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.folder() == tmp_path / ".cache" / "ocjax"


def test_a_key_has_its_parts_and_changes_with_the_files(tmp_path):
    (tmp_path / "a").write_text("a")
    first = cache.key([tmp_path / "a"], "set", 32, 1)
    assert first.startswith("set-32-1-") and "/" not in first
    assert first == cache.key([tmp_path / "a"], "set", 32, 1)
    (tmp_path / "a").write_text("ab")
    assert first != cache.key([tmp_path / "a"], "set", 32, 1)


@pytest.mark.parametrize("content", [b"", b"no array"])
def test_a_damaged_mapped_array_is_made_anew(cache_folder, content):
    fill = lambda array: array.fill(7)
    cache.mapped("key", (2, 3), fill)
    (path,) = cache_folder.rglob("*.npy")
    path.write_bytes(content)
    np.testing.assert_array_equal(cache.mapped("key", (2, 3), fill), 7)
