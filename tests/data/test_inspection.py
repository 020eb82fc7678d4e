"""Inspection benchmarks in the layouts in which they are published."""

import numpy as np
import pytest
from PIL import Image

from ocjax import data
from ocjax._checks import InputError


def picture(path, value=100, suffix=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((12, 10, 3), value, np.uint8)
    pixels[:4, :4, 0] += 50
    Image.fromarray(pixels).save(path)


def mask(path, value=255):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((12, 10), np.uint8)
    pixels[:6, :5] = value
    Image.fromarray(pixels).save(path)


def check(dataset, kinds, trained, tests):
    assert dataset.class_names == kinds
    assert dataset.images.shape == (trained + tests, 8, 8, 3)
    assert (~dataset.official_test).sum() == trained
    assert not dataset.labels[~dataset.official_test].any()
    marked = dataset.masks.any((1, 2))
    np.testing.assert_array_equal(marked, dataset.labels > 0)
    where = dataset.masks[dataset.labels > 0][0]
    assert where[:4, :4].all() and not where[4:].any()


def test_mvtec_ad(tmp_path):
    root = tmp_path / "mvtec_ad" / "metal_nut"
    for number in range(3):
        picture(root / "train" / "good" / f"{number:03}.png")
    picture(root / "test" / "good" / "000.png")
    for kind in ("bent", "scratch"):
        picture(root / "test" / kind / "000.png")
        mask(root / "ground_truth" / kind / "000_mask.png")
    (root / "license.txt").write_text("CC BY-NC-SA 4.0")
    (root / "readme.txt").write_text("MVTec AD")
    dataset = data.load("mvtec_ad/metal_nut", data_dir=tmp_path, size=8)
    check(dataset, ("good", "bent", "scratch"), 3, 3)
    assert dataset.name == "mvtec_ad/metal_nut"


def test_btad(tmp_path):
    root = tmp_path / "btad" / "03"
    for number in range(3):
        picture(root / "train" / "ok" / f"{number:04}.bmp")
    picture(root / "test" / "ok" / "0000.bmp")
    picture(root / "test" / "ko" / "0001.bmp")
    mask(root / "ground_truth" / "ko" / "0001.png")
    dataset = data.load("btad/03", data_dir=tmp_path, size=8)
    check(dataset, ("good", "ko"), 3, 2)


def visa(root, rows):
    lines = ["object,split,label,image,mask"]
    for split, label, number in rows:
        kind = "Normal" if label == "normal" else "Anomaly"
        image = f"pcb1/Data/Images/{kind}/{number:04}.JPG"
        picture(root / image)
        where = ""
        if label != "normal":
            where = f"pcb1/Data/Masks/{kind}/{number:04}.png"
            mask(root / where, value=3)  # Kinds of defects are numbered there.
        lines.append(f"pcb1,{split},{label},{image},{where}")
    lines.append("candle,train,normal,candle/Data/Images/Normal/0000.JPG,")
    (root / "split_csv").mkdir()
    (root / "split_csv" / "1cls.csv").write_text("\n".join(lines) + "\n")
    (root / "pcb1" / "image_anno.csv").write_text("image,label,mask\n")


def test_visa(tmp_path):
    rows = [("train", "normal", n) for n in range(3)]
    visa(tmp_path / "visa", [*rows, ("test", "normal", 3), ("test", "anomaly", 0)])
    dataset = data.load("visa/pcb1", data_dir=tmp_path, size=8)
    check(dataset, ("good", "anomaly"), 3, 2)
    assert dataset.paths is not None
    assert dataset.paths[0] == "pcb1/Data/Images/Normal/0000.JPG"
    with pytest.raises(InputError, match=r"1cls.csv has no pictures of pcb2"):
        data.load("visa/pcb2", data_dir=tmp_path, size=8)


@pytest.mark.parametrize("content", ["", "object,split\npcb1,train\n", "a\n\0"])
def test_a_table_of_another_kind_is_refused_in_one_line(tmp_path, content):
    visa(tmp_path / "visa", [("train", "normal", 0)])
    (tmp_path / "visa" / "split_csv" / "1cls.csv").write_text(content)
    with pytest.raises(InputError, match=r"1cls\.csv") as error:
        data.load("visa/pcb1", data_dir=tmp_path, size=8)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["mvtec_ad/bottle", "visa/candle", "btad/01"])
def test_benchmarks_that_are_not_there_are_named(tmp_path, name):
    folder = name.partition("/")[0]
    with pytest.raises(InputError, match=f"There is no folder .*{folder}: unpack"):
        data.load(name, data_dir=tmp_path, size=8)


def test_categories_have_near_names(tmp_path):
    with pytest.raises(InputError, match="mvtec_ad/bottle"):
        data.load("mvtec_ad/botle", data_dir=tmp_path)
