import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ocjax import data
from ocjax._checks import InputError
from ocjax.data import prepare
from ocjax.data.sources import signs

HEADER = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"


def write(path, rows, label):
    """Frames in which the sign alone is not black, and their table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [HEADER]
    for i, name in enumerate(rows):
        x1, y1, x2, y2 = 2, 5, 21, 10  # Wide, so that swapped axes are seen.
        pixels = np.zeros((20, 30, 3), np.uint8)
        pixels[y1 : y2 + 1, x1 : x2 + 1] = label + 1
        Image.fromarray(pixels).save(path.parent / name)
        kind = label if path.name != "GT-final_test.csv" else i % signs.CLASSES
        lines.append(f"{name};30;20;{x1};{y1};{x2};{y2};{kind}")
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def official(tmp_path):
    root = tmp_path / "GTSRB"
    for label in range(signs.CLASSES):
        names = [f"{track:05d}_{frame:05d}.ppm" for track in (0, 1) for frame in (0, 1)]
        folder = root / "Final_Training" / "Images" / f"{label:05d}"
        write(folder / f"GT-{label:05d}.csv", names, label)
    names = [f"{i:05d}.ppm" for i in range(50)]
    write(root / "Final_Test" / "Images" / "GT-final_test.csv", names, 100)
    return root


def test_the_official_folders(tmp_path, official):
    found: Any = data.load("gtsrb", data_dir=tmp_path, size=8)
    assert found.images.shape == (43 * 4 + 50, 8, 8, 3)
    # Rows are Y and columns X: nothing black is left.
    train = ~found.official_test
    np.testing.assert_array_equal(
        found.images[train], (found.labels[train] + 1)[:, None, None, None]
        * np.ones((1, 8, 8, 3), np.uint8),
    )  # fmt: skip
    assert (found.images[found.official_test] == 101).all()
    assert found.class_names[14] == "stop"
    assert len(set(found.groups[train])) == 86
    parts = data.split("p2", found, 14, validation_fraction=0.5)
    assert len(parts.train) == len(parts.validation) == 2  # A track each.
    assert len({p.rsplit("_", 1)[0] for p in np.array(found.paths)[parts.train]}) == 1


def test_prepared_by_tfds_it_is_the_same_without_tensorflow(tmp_path, official):
    manual = tmp_path / "prepared" / "downloads" / "manual"
    manual.mkdir(parents=True)
    (manual / "GTSRB").symlink_to(official)
    prepare.prepare("gtsrb", str(tmp_path / "prepared"))
    assert "tensorflow" not in sys.modules
    one: Any = data.load("gtsrb", data_dir=tmp_path, size=8)
    other: Any = data.load("gtsrb", data_dir=tmp_path / "prepared", size=8)
    orders = [np.argsort(dataset.paths) for dataset in (one, other)]
    for name in ("images", "labels", "official_test", "paths"):
        left, right = (
            np.array(getattr(dataset, name))[order]
            for dataset, order in zip((one, other), orders, strict=True)
        )
        np.testing.assert_array_equal(left, right)


def test_the_subset(shared_data):
    found: Any = data.load("gtsrb", data_dir=shared_data)
    stop = found.labels == signs.STOP
    assert stop[found.official_test].sum() == 270
    assert stop[~found.official_test].sum() == 780
    assert len(set(found.groups[stop & ~found.official_test])) == 26
    assert "subset" in found.note


def _change(table, old, new):
    table.write_text(table.read_text().replace(old, new, 1))


def test_what_is_wrong_is_named(tmp_path, official):
    load = lambda: data.load("gtsrb", data_dir=tmp_path, size=8)
    table = official / "Final_Training" / "Images" / "00003" / "GT-00003.csv"
    before = table.read_text()
    cases = [
        (
            "2;5;21;10;3",
            "2;5;31;10;3",
            "columns 2 to 31 and rows 5 to 10 is",
        ),
        ("2;5;21;10;3", "22;5;21;10;3", "the box with columns 22 to 21"),
        ("2;5;21;10;3", "2;5;21;10;99", "line 2: there is no class 99"),
        ("2;5;21;10;3", "2;5;x;10;3", "line 2: expected Filename;Width"),
        ("00000_00001", "00009_00001", "line 3: there is no file .*00009_00001"),
    ]
    for old, new, message in cases:
        _change(table, old, new)
        with pytest.raises(InputError, match=message):
            load()
        table.write_text(before)
    table.unlink()
    with pytest.raises(InputError, match="There is no .*GT-00003.csv; expected Fi"):
        load()
    with pytest.raises(InputError, match="looked for gtsrb/<version>, for GTSRB/ w"):
        data.load("gtsrb", data_dir=tmp_path / "nowhere")
    with pytest.raises(InputError, match="There is no folder .*manual/GTSRB"):
        prepare.prepare("gtsrb", str(tmp_path / "nowhere"))
