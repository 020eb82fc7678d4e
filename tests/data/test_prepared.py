import shutil
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from ocjax import _extras
from ocjax._checks import InputError
from ocjax.data import cache, prepared
from ocjax.data.sources import registry

MNIST_TEST = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def touch(folder, *names):
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()


def test_reading_needs_no_tensorflow(prepared_dir):
    folder = prepared.find("mnist", prepared_dir)
    part = prepared.read(folder, "test", 28)
    np.testing.assert_array_equal(np.bincount(part["labels"]), MNIST_TEST)
    assert part["images"].shape == (10000, 28, 28, 1)
    assert part["class_names"][0] == "0"
    assert part["images"].dtype == np.uint8
    # TFDS's own decoding is the reference.
    import tensorflow_datasets as tfds

    builder: Any = tfds.builder_from_directory(folder)
    for row, record in enumerate(builder.as_data_source(split="test[:20]")):
        np.testing.assert_array_equal(part["images"][row], record["image"])
        assert part["labels"][row] == record["label"]
    assert "tensorflow" not in sys.modules


def test_the_second_reading_comes_from_the_cache(prepared_dir, monkeypatch):
    folder = prepared.find("cifar10", prepared_dir)
    first = {"images": np.zeros(1), "labels": np.zeros(1), "class_names": np.zeros(1)}
    monkeypatch.setattr(prepared, "_decode", lambda *_: first)
    prepared.read(folder, "test", 32)
    monkeypatch.setattr(prepared, "_decode", None)
    np.testing.assert_array_equal(
        prepared.read(folder, "test", 32)["images"], first["images"]
    )


def test_other_files_parts_and_sizes_are_other_keys(tmp_path, monkeypatch):
    keys = []
    monkeypatch.setattr(cache, "cached", lambda key, *_: keys.append(key))
    folder = tmp_path / "mnist" / "3.0.1"
    touch(folder, "mnist-test.array_record")
    prepared.read(folder, "test", 32)
    prepared.read(folder, "test", 32)
    assert keys[0] == keys[1] and keys[0].startswith("mnist-3.0.1-test-32-")
    prepared.read(folder, "train", 32)
    prepared.read(folder, "test", 28)
    (folder / "mnist-test.array_record").write_text("other")
    prepared.read(folder, "test", 32)
    assert len(set(keys)) == 4


def test_another_data_set_has_its_own_counts_and_names(prepared_dir):
    part = prepared.read(prepared.find("fashion_mnist", prepared_dir), "test", 32)
    np.testing.assert_array_equal(np.bincount(part["labels"]), [1000] * 10)
    assert part["images"].shape == (10000, 32, 32, 1)
    assert part["class_names"][0] == "T-shirt/top"


@pytest.mark.slow
def test_both_parts_are_one_data_set_that_is_decoded_once(prepared_dir, monkeypatch):
    dataset = registry.load("cifar10", data_dir=prepared_dir)
    assert dataset.images.shape == (60000, 32, 32, 3)
    assert dataset.class_names[0] == "airplane"
    assert not dataset.official_test[:50000].any()
    for part, count in ((False, 5000), (True, 1000)):
        labels = dataset.labels[dataset.official_test == part]
        np.testing.assert_array_equal(np.bincount(labels), [count] * 10)
    monkeypatch.setattr(prepared, "_decode", None)  # Nothing is decoded twice.
    again = registry.load("cifar10", data_dir=prepared_dir)
    np.testing.assert_array_equal(again.images, dataset.images)


def test_an_absent_data_set_says_at_once_how_to_prepare_it(tmp_path, monkeypatch):
    # At once: TFDS, which would ask the network, is not even imported.
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(InputError) as error:
        registry.load("mnist", data_dir=tmp_path / "my data")
    message = str(error.value)
    assert "\n" not in message
    assert f"is not prepared in {tmp_path}/my data" in message
    assert _extras.install("prepare") in message
    assert message.endswith(f"prepare mnist --data_dir='{tmp_path}/my data'")


def test_another_file_format_is_named_as_the_problem(tmp_path):
    touch(
        tmp_path / "mnist" / "3.0.1",
        "dataset_info.json",
        "mnist-test.tfrecord-00000-of-00001",
    )
    with pytest.raises(InputError, match="not in array_record format") as error:
        prepared.find("mnist", tmp_path)
    assert str(error.value).endswith(f"--data_dir={tmp_path}/array_record")


def test_the_newest_version_with_records_is_found(tmp_path):
    for version in ("3.0.1", "3.0.9", "3.0.10"):
        touch(tmp_path / "mnist" / version, "dataset_info.json", "test.array_record-0")
    touch(tmp_path / "mnist" / "4.0.0", "dataset_info.json", "test.tfrecord-0")
    touch(tmp_path / "mnist" / "5.0.0.incomplete", "dataset_info.json")
    assert prepared.find("mnist", tmp_path).name == "3.0.10"


def test_the_folder_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "theirs"))
    assert prepared.data_folder() == tmp_path / "theirs"
    assert prepared.data_folder(tmp_path / "mine") == tmp_path / "mine"
    monkeypatch.delenv("TFDS_DATA_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert prepared.data_folder() == tmp_path / "tensorflow_datasets"


def test_a_damaged_or_missing_shard_is_named(prepared_dir, tmp_path):
    folder = tmp_path / "cifar10" / "3.0.2"
    shutil.copytree(prepared.find("cifar10", prepared_dir), folder)
    shard = folder / "cifar10-test.array_record-00000-of-00004"
    shard.chmod(0o644)
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 4
    shard.write_bytes(content)
    with pytest.raises(InputError, match=f"Cannot read 'test' in {folder}"):
        prepared.read(folder, "test", 32)
    shard.unlink()
    with pytest.raises(InputError, match=shard.name):
        prepared.read(folder, "test", 32)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["mnits"], "did you mean 'mnist'"),
        ([], "[mnist|fashion_mnist|cifar10|coil100|gtsrb]"),
        (["mnist", "--data_dir=somewhere"], _extras.install("prepare")),
    ],
)
def test_preparing_fails_in_one_line(arguments, message):
    done = subprocess.run(
        [sys.executable, "-m", "ocjax.data.prepare", *arguments],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert message in done.stderr and done.stderr.count("\n") == 1
    assert not done.stdout
