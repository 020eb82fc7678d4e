from typing import Any

import numpy as np
import pytest
from PIL import Image

from ocjax import data
from ocjax._checks import InputError
from ocjax.data.sources import patches

LAYOUT = {
    "train/0.normal": 5,
    "test/0.normal": 3,
    "test/1.abnormal": 2,
}
KINDS = {"gun": 2, "knife": 1, "gun-parts": 3}


def write(path, mode="L", size=(12, 12), level=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    color = level if mode == "L" else (level, 0, 200)
    Image.new(mode, size, color).save(path)


@pytest.fixture
def folder(tmp_path):
    """The layout that GANomaly's code reads, of grey pictures."""
    for part, count in LAYOUT.items():
        for i in range(count):
            write(tmp_path / "uba" / part / f"{i}.png", level=10 * i)
    return tmp_path


def labels_by_class(dataset):
    counts = np.bincount(dataset.labels, minlength=len(dataset.class_names))
    return dict(zip(dataset.class_names, counts.tolist(), strict=True))


def test_normal_patches_train_and_all_kinds_test(folder):
    for kind, count in KINDS.items():
        for i in range(count):
            write(folder / "uba" / "test" / "1.abnormal" / kind / f"{i}.jpg")
    dataset: Any = patches.uba(data_dir=folder, size=8)
    assert dataset.images.shape == (16, 8, 8, 1) and dataset.images.dtype == np.uint8
    assert labels_by_class(dataset) == {"normal": 8, "abnormal": 2, **KINDS}
    assert dataset.class_names == ("normal", "abnormal", "gun", "gun-parts", "knife")
    assert dataset.official_test.tolist() == [False] * 5 + [True] * 11
    assert data.trainable(dataset) == [0]
    by_path = dict(zip(dataset.paths, dataset.images[:, 4, 4, 0], strict=True))
    assert by_path["train/0.normal/4.png"] == 40
    assert by_path["test/1.abnormal/gun/1.jpg"] == 100
    split = data.split("folder", dataset, 0)
    assert len(split.test) == 11 and split.anomalous.sum() == 8
    assert "one bag" in dataset.note


def test_patches_without_kinds_are_one_class(folder):
    dataset = patches.uba(data_dir=folder / "uba", size=8)
    assert labels_by_class(dataset) == {"normal": 8, "abnormal": 2}
    # Also where a kind is called as the normal class is.
    write(folder / "uba" / "test" / "1.abnormal" / "normal" / "0.png")
    dataset = patches.uba(data_dir=folder, size=8)
    assert dataset.labels[-1] == 2 and dataset.class_names[2] == "normal"


def test_one_picture_in_colour_makes_all_so(folder):
    write(folder / "uba" / "test" / "0.normal" / "9.png", "RGB", level=50)
    dataset: Any = patches.uba(data_dir=folder, size=8)
    assert dataset.images.shape == (11, 8, 8, 3)
    colors = dict(zip(dataset.paths, dataset.images[:, 0, 0].tolist(), strict=True))
    assert colors["test/0.normal/9.png"] == [50, 0, 200]
    assert colors["train/0.normal/3.png"] == [30, 30, 30]


def test_the_second_reading_comes_from_the_cache_until_a_file_changes(
    folder, monkeypatch
):
    first = patches.uba(data_dir=folder, size=8)
    with monkeypatch.context() as patch:
        patch.setattr(patches, "_read", None)
        again = patches.uba(data_dir=folder, size=8)
        np.testing.assert_array_equal(again.images, first.images)
    write(folder / "uba" / "train" / "0.normal" / "0.png", level=255, size=(9, 9))
    assert patches.uba(data_dir=folder, size=8).images[0].min() == 255


def test_corrupt_files_are_named_in_one_line(folder):
    bad = [folder / "uba" / "train" / "0.normal" / f"{i}.png" for i in (1, 3)]
    bad[0].write_bytes(b"no picture")
    bad[1].write_bytes(b"")
    with pytest.raises(InputError, match="^2 of 10 files cannot be read") as caught:
        patches.uba(data_dir=folder, size=8)
    assert all(str(path) in str(caught.value) for path in bad)
    assert "\n" not in str(caught.value)
    bad[0].unlink()
    noise = np.random.default_rng(0).integers(0, 256, (32, 32), np.uint8)
    Image.fromarray(noise).save(bad[1])
    content = bad[1].read_bytes()
    bad[1].write_bytes(content[: len(content) // 2])  # Its header is whole.
    with pytest.raises(InputError, match="^1 of 9 files cannot be read") as caught:
        patches.uba(data_dir=folder, size=8)
    assert str(bad[1]) in str(caught.value)


def test_what_is_missing_is_explained(folder, tmp_path):
    with pytest.raises(InputError) as caught:
        patches.uba(data_dir=tmp_path / "nowhere", size=8)
    said = ["train/0.normal", "test/1.abnormal", "nowhere", "samet-akcay/ganomaly"]
    for text in [*said, "never published"]:
        assert text in str(caught.value)
    for path in (folder / "uba" / "test" / "0.normal").iterdir():
        path.rename(path.with_suffix(".txt"))
    with pytest.raises(InputError, match="Found no pictures in .*test/0.normal"):
        patches.uba(data_dir=folder, size=8)
