import csv
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ocjax import data
from ocjax._checks import InputError
from ocjax.data import files


def write(path, pixels=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    if pixels is None:
        seed = sum(map(ord, str(path.name)))
        pixels = np.random.default_rng(seed).integers(0, 256, (12, 9), np.uint8)
    Image.fromarray(pixels).save(path, **options)


@pytest.fixture
def mvtec(tmp_path):
    root = tmp_path / "screws"
    for i in range(6):
        write(root / "train" / "good" / f"{i}.png")
    for kind in ("good", "scratch", "bent"):
        for i in range(2):
            write(root / "test" / kind / f"{kind}{i}.png")
    write(root / "ground_truth" / "bent" / "bent0_mask.png")
    return root


def load(root, **options) -> Any:  # No field is None here.
    return data.load("folder", data_dir=root, size=8, **options)


def test_the_layout_of_mvtec(mvtec):
    found = load(mvtec)
    assert found.class_names == ("good", "bent", "scratch")
    assert found.images.shape == (12, 8, 8, 1) and found.images.dtype == np.uint8
    assert found.labels.tolist() == [0] * 6 + [1, 1, 0, 0, 2, 2]
    assert found.official_test.tolist() == [False] * 6 + [True] * 6
    assert found.paths[0] == "train/good/0.png"
    assert found.paths[6] == "test/bent/bent0.png"
    picture = Image.open(mvtec / found.paths[7]).resize((8, 8), Image.Resampling(2))
    np.testing.assert_array_equal(found.images[7, ..., 0], np.asarray(picture))
    parts = data.split("folder", found, 0, validation_fraction=0.3)
    assert len(parts.train) == 4 and parts.anomalous.sum() == 4


def test_normal_and_anomalous(tmp_path):
    for i in range(10):
        write(tmp_path / "normal" / f"{i}.png")
    write(tmp_path / "anomalous" / "deep" / "0.png")
    found = load(tmp_path)
    assert found.class_names == ("good", "anomalous")
    assert found.official_test.sum() == 2 + 1
    np.testing.assert_array_equal(load(tmp_path).images, found.images)


def test_a_table(tmp_path):
    rows = [("a.png", "good", "train", "x"), ("b.png", "normal", "train", "x")]
    rows += [("c.png", "good", "test", ""), ("d.png", "hole", "", "")]
    for name, *_ in rows:
        write(tmp_path / "pictures" / name)
    with open(tmp_path / "labels.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "split", "group"])
        table.writerows([(f"pictures/{name}", *rest) for name, *rest in rows])
    found = load(tmp_path)
    assert found.labels.tolist() == [0, 0, 0, 1]
    assert found.official_test.tolist() == [False, False, True, True]
    assert found.groups[0] == found.groups[1] and len(set(found.groups)) == 3


@pytest.mark.parametrize(
    "row, message",
    [
        ("x.png,good,train", "line 2: there is no file .*x.png"),
        ("a.png,,train", "line 2: expected a path and a label"),
        ("a.png,good,half", "expected split train or test, got 'half'"),
        ("a.png,hole,train", "only 'good' may train, got 'hole'"),
    ],
)
def test_a_wrong_line_of_a_table_is_named(tmp_path, row, message):
    write(tmp_path / "a.png")
    (tmp_path / "labels.csv").write_text(f"path,label,split\n{row}\n")
    with pytest.raises(InputError, match=message):
        load(tmp_path)


def test_one_colour_picture_makes_all_colour(mvtec):
    write(mvtec / "test" / "good" / "red.png", np.full((5, 5, 3), [255, 0, 0], "u1"))
    found = load(mvtec)
    assert found.images.shape[-1] == 3
    red = found.images[found.paths.index("test/good/red.png")]
    assert (red == [255, 0, 0]).all()


def test_sixteen_bits_keep_the_upper_eight(tmp_path):
    write(tmp_path / "deep.png", np.full((4, 4), 0x1234, np.uint16))
    assert (files.read(tmp_path / "deep.png", (4, 4, 1)) == 0x12).all()


def test_a_picture_is_turned_as_the_camera_noted(tmp_path):
    pixels = np.zeros((4, 4), np.uint8)
    pixels[0] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # Upside down.
    write(tmp_path / "turned.png", pixels, exif=exif)
    assert (files.read(tmp_path / "turned.png", (4, 4, 1))[3] == 255).all()


def test_damaged_files_are_counted_and_named_and_skipped_only_when_asked(mvtec):
    whole = (mvtec / "train" / "good" / "0.png").read_bytes()
    (mvtec / "train" / "good" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (mvtec / "test" / "bent" / "text.png").write_text("no picture")
    message = "2 of 14 files cannot be read: .*cut.png.*text.png.*skip_unreadable"
    with pytest.raises(InputError, match=message):
        load(mvtec)
    found = load(mvtec, skip_unreadable=True)
    assert len(found.images) == 12 and "train/good/cut.png" not in found.paths
    with pytest.raises(InputError, match="is for folder and magnetic_tile, not 'digi"):
        data.load("digits", skip_unreadable=True)


def test_an_unknown_layout_and_an_empty_part_are_said(tmp_path, mvtec):
    with pytest.raises(InputError, match="There is no folder"):
        load(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="looked for train/good and test/<kind>, for"):
        load(tmp_path / "empty")
    for path in (mvtec / "test").rglob("*.png"):
        path.unlink()
    with pytest.raises(InputError, match="screws has no good pictures that test"):
        load(mvtec)
    write(mvtec / "test" / "good" / "0.png")
    with pytest.raises(InputError, match="screws has no anomalous pictures"):
        load(mvtec)
    with pytest.raises(InputError, match="needs --data_dir"):
        load(None)


def test_a_changed_picture_is_read_again(mvtec):
    before = load(mvtec).images.copy()
    write(mvtec / "train" / "good" / "0.png", np.zeros((30, 40), np.uint8))
    after = load(mvtec).images
    assert not after[0].any() and (after[1:] == before[1:]).all()


def test_the_pictures_are_on_disk_until_they_are_looked_at(mvtec):
    images = load(mvtec).images
    assert isinstance(images, np.memmap) and not images.flags.writeable


def test_magnetic_tile(shared_data):
    found = data.load("magnetic_tile", data_dir=shared_data, size=32)
    assert found.images.shape == (492, 32, 32, 1)
    assert found.class_names == (
        "good", "blowhole", "break", "crack", "fray", "uneven",
    )  # fmt: skip
    assert np.bincount(found.labels[found.official_test]).tolist() == (
        [60, 40, 40, 40, 32, 40]
    )
    assert set(found.labels[~found.official_test]) == {0}
