import csv
import os
import shutil
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


def test_anomalies_may_be_lacking_from_the_layout_of_mvtec(mvtec):
    shutil.rmtree(mvtec / "test" / "bent")
    with_scratches = load(mvtec)
    assert with_scratches.class_names == ("good", "scratch")
    shutil.rmtree(mvtec / "test" / "scratch")
    (mvtec / "test" / ".hidden").mkdir()
    found = load(mvtec)
    assert found.class_names == ("good",) and found.masks is None
    assert found.official_test.tolist() == [False] * 6 + [True] * 2
    shutil.rmtree(mvtec / "test" / "good")
    with pytest.raises(InputError, match="screws has no good pictures that test"):
        load(mvtec)


def test_a_flat_folder_is_all_good(tmp_path):
    root = tmp_path / "flat"
    for i in range(7):
        write(root / f"{i}.png")
    for i in range(4):
        write(root / "monday" / f"{i}.png")
    write(root / ".thumbnails" / "0.png")
    found = load(root)
    assert found.class_names == ("good",) and found.masks is None
    assert found.labels.tolist() == [0] * 11
    assert found.official_test.tolist() == [False] * 9 + [True] * 2
    assert {"3.png", "monday/3.png"} < set(found.paths) and len(found.paths) == 11
    again = load(root)
    assert found.paths == again.paths
    np.testing.assert_array_equal(found.images, again.images)


@pytest.mark.parametrize("count, lacks", [(0, "laid out"), (1, "no good pictures th")])
def test_a_flat_folder_of_too_few_pictures_is_an_error(tmp_path, count, lacks):
    for i in range(count):
        write(tmp_path / "pictures" / f"{i}.png")
    with pytest.raises(InputError, match=lacks) as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", ["train/Good", "Test/scratch", "anomalous"])
def test_pictures_of_half_a_layout_are_not_taken_to_be_good(tmp_path, part):
    write(tmp_path / part / "0.png")
    write(tmp_path / "1.png")
    with pytest.raises(InputError, match="laid out in no known way"):
        load(tmp_path)


def write_masks(root):
    """The upper half of each anomalous picture."""
    half = np.zeros((12, 9), np.uint8)
    half[:6] = 1
    write(root / "ground_truth" / "bent" / "bent0.png", half)
    write(root / "ground_truth" / "bent" / "bent1_mask.bmp", half > 0)
    write(root / "ground_truth" / "scratch" / "scratch0_mask.png", half)
    write(root / "ground_truth" / "scratch" / "scratch1.tiff", half)


def test_masks_of_anomalies_are_read_and_cached(mvtec, monkeypatch):
    assert load(mvtec).masks is None
    write_masks(mvtec)
    found = load(mvtec)
    assert found.masks.shape == (12, 8, 8) and found.masks.dtype == bool
    assert isinstance(found.masks, np.memmap)
    anomalous = found.masks[found.labels > 0]
    assert anomalous[:, :4].all() and not anomalous[:, 4:].any()
    assert not found.masks[found.labels == 0].any()
    with monkeypatch.context() as patch:
        patch.setattr(files, "read_mask", None)
        np.testing.assert_array_equal(load(mvtec).masks, found.masks)
    write(mvtec / "ground_truth" / "bent" / "bent0.png", np.ones((30, 40), np.uint8))
    after = load(mvtec).masks
    assert after[6].all() and (after[7:] == found.masks[7:]).all()


def test_a_mask_that_is_missing_or_damaged_is_named(mvtec):
    write_masks(mvtec)
    bad = mvtec / "ground_truth" / "scratch" / "scratch0_mask.png"
    bad.write_text("no picture")
    with pytest.raises(InputError, match="1 of 4 files cannot be read: .*scratch0_mas"):
        load(mvtec)
    shutil.rmtree(mvtec / "ground_truth" / "scratch")
    with pytest.raises(InputError, match="^2 anomalous pictures have no mask") as error:
        load(mvtec)
    assert "scratch0.png" in str(error.value) and "scratch1.png" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_picture_that_is_left_out_leaves_its_mask(mvtec):
    write_masks(mvtec)
    (mvtec / "test" / "bent" / "bent0.png").write_text("no picture")
    found = load(mvtec, skip_unreadable=True)
    assert found.masks.shape == (11, 8, 8)
    assert (found.masks.any((1, 2)) == (found.labels > 0)).all()


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


def test_damaged_files_are_counted_and_named_and_skipped_only_when_asked(mvtec):
    whole = (mvtec / "train" / "good" / "0.png").read_bytes()
    (mvtec / "train" / "good" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (mvtec / "test" / "bent" / "text.png").write_text("no picture")
    message = "2 of 14 files cannot be read: .*cut.png.*text.png.*skip_unreadable"
    with pytest.raises(InputError, match=message):
        load(mvtec)
    found = load(mvtec, skip_unreadable=True)
    assert len(found.images) == 12 and "train/good/cut.png" not in found.paths
    with pytest.raises(InputError, match="is for pictures in folders, not 'digi"):
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
    found: Any = data.load("magnetic_tile", data_dir=shared_data, size=32)
    assert found.images.shape == (752, 32, 32, 1)
    assert found.class_names == (
        "good", "blowhole", "break", "crack", "fray", "uneven",
    )  # fmt: skip
    assert np.bincount(found.labels[found.official_test]).tolist() == (
        [72, 115, 85, 57, 32, 103]
    )
    assert set(found.labels[~found.official_test]) == {0}
    marked = found.masks.any((1, 2))
    assert found.masks.shape == (752, 32, 32) and not marked[found.labels == 0].any()
    assert (found.labels > 0).sum() - marked.sum() == 4  # Empty in the source.


def write_table(root, rows):
    for i in range(len(rows)):
        write(root / f"{i}.png")
    lines = [f"{i}.png,{','.join(row)}" for i, row in enumerate(rows)]
    (root / "labels.csv").write_text("\n".join(["path,label,split,group", *lines]))


def test_what_is_said_of_one_picture_holds_for_its_group(tmp_path):
    rows = [("good", "", f"object{i % 10}") for i in range(20)]
    rows[:3] = [("good", "test", f"object{i}") for i in range(3)]
    write_table(tmp_path, [*rows, ("bent", "", "object5")])
    found = load(tmp_path)
    for group in set(found.groups):
        normal = (found.groups == group) & (found.labels == 0)
        assert len(set(found.official_test[normal])) == 1
    tested = {found.paths[i] for i in np.flatnonzero(found.official_test)}
    assert {"10.png", "11.png", "12.png"} <= tested


def test_a_group_that_is_said_to_be_on_both_sides_is_refused(tmp_path):
    write_table(tmp_path, [("good", "train", "a"), ("good", "test", "a")])
    with pytest.raises(InputError, match="group 'a' train, and others test"):
        load(tmp_path)


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("names", ["text.png", "text.png empty.jpg"])
def test_a_folder_of_unreadable_files_names_them(tmp_path, names, skip):
    for name in names.split():
        (tmp_path / name).write_text("no picture" if "text" in name else "")
    count = len(names.split())
    message = f"{count} of {count} files cannot be read: .*text.png"
    with pytest.raises(InputError, match=message) as error:
        load(tmp_path, skip_unreadable=skip)
    assert "\n" not in str(error.value)


def test_a_part_whose_files_are_left_out_names_them(mvtec):
    for path in (mvtec / "test" / "good").iterdir():
        path.write_text("no picture")
    message = "no good pictures that test; .* 2 of 12 files cannot be read: .*good0.png"
    with pytest.raises(InputError, match=message):
        load(mvtec, skip_unreadable=True)


def test_two_folders_of_one_name_and_alike_files_keep_their_pictures(
    tmp_path, monkeypatch
):
    for level, project in enumerate(("one", "two")):
        for i in range(5):
            path = tmp_path / project / "parts" / f"{i}.bmp"
            write(path, np.full((8, 8), level, np.uint8))
            os.utime(path, (10**9, 10**9))
    for level, project in enumerate(("one", "two")):
        monkeypatch.chdir(tmp_path / project)
        assert (load("parts").images == level).all()


def test_a_remote_folder_is_refused():
    with pytest.raises(InputError, match="Expected --data_dir on a local disk"):
        load("gs://bucket/pictures")
