import os
import pathlib
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from absl import logging

from ocjax._checks import InputError
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


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    os.utime(path, (10**9, 10**9))
    return path


def test_files_of_one_name_size_and_time_in_other_folders_have_another_key(
    tmp_path, monkeypatch
):
    keys = []
    for name in ("one", "two"):
        write(tmp_path / name / "parts" / "a", name)
        monkeypatch.chdir(tmp_path / name)
        keys.append(cache.key([pathlib.Path("parts/a")], "set"))
    assert keys[0] != keys[1]


def test_a_key_tells_a_file_from_what_was_put_in_its_place(tmp_path):
    path = write(tmp_path / "a", "old")
    first = cache.key([path])
    write(tmp_path / "b", "new").replace(path)
    second, changed = cache.key([path]), path.stat().st_ctime_ns
    while path.stat().st_ctime_ns == changed:
        write(path, "abc")  # In place: the same inode, size and modification time.
    assert len({first, second, cache.key([path])}) == 3


def test_a_key_does_not_depend_on_how_a_folder_is_spelled(tmp_path, monkeypatch):
    write(tmp_path / "parts" / "a", "a")
    (tmp_path / "link").symlink_to(tmp_path / "parts")
    monkeypatch.chdir(tmp_path)
    names = ["parts/a", "./parts/../parts/a", "link/a", tmp_path / "parts" / "a"]
    assert len({cache.key([pathlib.Path(name)]) for name in names}) == 1


def test_names_of_any_bytes_have_a_key(tmp_path):
    path = write(tmp_path / os.fsdecode(b"caf\xe9"), "a")
    assert cache.key([path], "set").startswith("set-")


def sevens(array):
    array.fill(7)


def assert_sevens(array):
    assert array.dtype == np.uint8 and array.size and (array == 7).all()


def test_where_the_folder_cannot_be_used_a_mapped_array_is_in_memory(
    tmp_path, monkeypatch, warnings
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("OCJAX_CACHE", str(tmp_path / "file"))
    assert_sevens(cache.mapped("key", (2, 3), sevens))
    assert len(warnings) == 1 and "OCJAX_CACHE" in warnings[0]


def test_a_full_disk_is_noticed_before_anything_is_filled(
    cache_folder, monkeypatch, warnings
):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert_sevens(cache.mapped("key", (2, 3), sevens))
    assert os.listdir(cache_folder) == []
    assert len(warnings) == 1 and "No space left" in warnings[0]


def test_an_array_larger_than_the_memory_asks_for_a_cache(monkeypatch, warnings):
    monkeypatch.setenv("OCJAX_CACHE", "/dev/null/cache")
    monkeypatch.setattr(cache, "_room", lambda: 5)
    with pytest.raises(InputError, match="set OCJAX_CACHE to a folder with room"):
        cache.mapped("key", (2, 3), sevens)


def test_the_available_memory_is_known():
    assert cache._room() > 2**20


def test_without_a_home_folder_there_is_no_cache(monkeypatch, warnings):
    def unknown(*_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("OCJAX_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(pathlib.Path, "home", unknown)
    assert cache.folder() is None
    assert_equal(cache.cached("key", NAMES, arrays), arrays())
    assert_sevens(cache.mapped("key", (2, 3), sevens))
    assert all("OCJAX_CACHE" in warning for warning in warnings)


def test_a_remote_cache_is_refused(monkeypatch):
    monkeypatch.setenv("OCJAX_CACHE", "gs://bucket/cache")
    with pytest.raises(InputError, match="Expected OCJAX_CACHE on a local disk"):
        cache.cached("key", NAMES, arrays)


def test_what_fails_in_filling_is_raised_and_leaves_nothing(cache_folder):
    def fail(_):
        raise InputError("a.png is no readable image")

    with pytest.raises(InputError, match="a.png"):
        cache.mapped("key", (2, 3), fail)
    assert os.listdir(cache_folder) == []


def test_files_of_killed_processes_are_removed_and_those_of_others_kept(cache_folder):
    cache.mapped("first", (2, 3), sevens)
    dead = cache_folder / ".key.npy.0000.tmp"
    dead.write_bytes(b"half")

    def within(array):
        (alive,) = cache_folder.glob(".second*")
        cache.mapped("third", (2, 3), sevens)
        assert alive.exists() and not dead.exists()
        array.fill(1)

    np.testing.assert_array_equal(cache.mapped("second", (2, 3), within), 1)
    names = ["first.npy", "second.npy", "third.npy"]
    assert sorted(os.listdir(cache_folder)) == names


def test_two_that_fill_one_entry_at_once_both_have_it(cache_folder):
    together = threading.Barrier(2)

    def fill(array):
        together.wait(10)
        array.fill(7)

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: cache.mapped("key", (2, 3), fill), range(2)))
    for result in results:
        assert_sevens(result)
    assert os.listdir(cache_folder) == ["key.npy"]


@pytest.mark.parametrize("kept", [20, 100, -1])
def test_a_cut_mapped_array_is_made_anew(cache_folder, warnings, kept):
    cache.mapped("key", (20, 3), sevens)
    (path,) = cache_folder.rglob("*.npy")
    path.write_bytes(path.read_bytes()[:kept])
    assert_sevens(cache.mapped("key", (20, 3), sevens))
    assert len(warnings) == 1 and "making it anew" in warnings[0]


def test_programs_are_kept_only_where_they_can_be_written(tmp_path, monkeypatch):
    program = (
        "import os; from ocjax.runs import environment; environment.keep_programs(); "
        "print(os.environ.get('JAX_COMPILATION_CACHE_DIR'))"
    )

    def kept(cache):
        values = {k: v for k, v in os.environ.items() if not k.startswith("JAX_COMP")}
        values |= {"OCJAX_CACHE": cache}
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, env=values, capture_output=True, text=True)
        return done.stdout.strip()

    assert kept(str(tmp_path / "new")) == str(tmp_path / "new" / "compiled")
    assert kept("/dev/null/cache") == kept("gs://bucket/cache") == "None"
