import os

import numpy as np
import pytest
from PIL import Image

from ocjax import data
from ocjax._checks import InputError
from ocjax.data import dataset
from ocjax.data.sources import folder


def lay(root, layout):
    """Three pictures in each folder that is named, or one file of that name."""
    for number, name in enumerate(layout.split()):
        paths = [root / name]
        if not name.endswith(".png"):
            paths = [root / name / f"{i}.png" for i in range(3)]
        for i, path in enumerate(paths):
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((4, 4), 4 * number + i, np.uint8)).save(path)


def counts(root):
    """How many pictures train and test as good, and how many there are of a kind."""
    found = data.load("folder", data_dir=root, size=4)
    good = found.labels == 0
    kinds = {
        name: int(np.sum(found.labels == label))
        for label, name in enumerate(found.class_names)
    }
    del kinds["good"]
    assert found.official_test[~good].all()
    return sum(good & ~found.official_test), sum(good & found.official_test), kinds


INSPECTED = {
    "train/good test/good test/hole": (3, 3, {"hole": 3}),
    "Train/Good TEST/GOOD TEST/Hole": (3, 3, {"Hole": 3}),
    "train/ok test/ok test/ko ground_truth/ko": (3, 3, {"ko": 3}),
    "train/normal test/defect_free test/not_ok/deep": (3, 3, {"not_ok": 3}),
    "train test/good test/bad": (3, 3, {"bad": 3}),
    "train/cam1 train/cam2 test/good test/bad": (6, 3, {"bad": 3}),
    "train/ok_front test/ok_front test/def_front": (3, 3, {"def_front": 3}),
    "train/good validation/good test/good test/logical": (6, 3, {"logical": 3}),
    "train/good test/good test/bad test/@eaDir/0": (3, 3, {"bad": 3}),
    "train/good test/good": (3, 3, {}),
}
BESIDE = {
    "good bad": (3, 1, {"bad": 3}),
    "normal abnormal": (3, 1, {"abnormal": 3}),
    "OK NG": (3, 1, {"NG": 3}),
    "ok not_ok": (3, 1, {"not_ok": 3}),
    "normal anomalies": (3, 1, {"anomalies": 3}),
    "defect_free defective": (3, 1, {"defective": 3}),
    "good scratch hole/deep": (3, 1, {"scratch": 3, "hole": 3}),
    "good_bottles bad_bottles": (3, 1, {"bad_bottles": 3}),
    "good bad masks/bad": (3, 1, {"bad": 3}),
    "good bad bad/scratch": (3, 1, {"bad": 6}),
    "good bad @eaDir __MACOSX/test .trash": (3, 1, {"bad": 3}),
}
ALONE = [
    "good",
    "good normal",
    "monday tuesday",
    "monday/good tuesday/ok",
    "OK_1.png x",
]


@pytest.mark.parametrize("layout, expected", INSPECTED.items())
def test_train_and_test_in_any_case_and_words(tmp_path, layout, expected):
    lay(tmp_path / "pictures", layout)
    assert counts(tmp_path / "pictures") == expected


@pytest.mark.parametrize("layout, expected", BESIDE.items())
def test_good_beside_others_trains_alone_and_a_fifth_of_it_tests(
    tmp_path, layout, expected
):
    lay(tmp_path / "pictures", layout)
    train, test, kinds = expected
    assert counts(tmp_path / "pictures") == (train - test, test, kinds)


@pytest.mark.parametrize("layout", ALONE)
def test_pictures_alone_are_good(tmp_path, layout):
    lay(tmp_path / "pictures", layout)
    train, test, kinds = counts(tmp_path / "pictures")
    assert train + test == len(list((tmp_path / "pictures").rglob("*.png")))
    assert test == 1 and not kinds


UNKNOWN = {
    "train/good train/bad test/good test/bad": "of which only good ones train: .*/bad",
    "train/good train/dent test/good": "of which only good ones train: .*/dent",
    "train/good train/x.png test/good": "of which only good ones train: .*x.png",
    "train/bad test/good": "it has good pictures, and there is bad in it",
    "train/cam1/bad train/cam2 test/good": "there is cam1/bad in it",
    "train/good val/bad test/good": "there is bad in it",
    "train/good test/good test/bad x.png": "beside test, train: .*x.png",
    "train/good test/good test/bad extra": "beside test, train: .*extra",
    "train/good test/good test/x.png": "pictures of no kind: .*x.png; expected them in",
    "train/good test/images": "images names no kind",
    "train test Train": "train and Train are both|Train and train are both",
    "test/good test/bad": "it has test and no train",
    "good bad x.png": "pictures beside good and bad: .*x.png",
    "good/bad bad": "it has good pictures, and there is bad in it",
    "good bad/good": "it has bad pictures, and there is good in it",
    "good/train bad/test": "it has good pictures, and there is train in it",
    "good images": "images names no kind",
    "bad x.png": "it holds bad, beside pictures of which no folder says",
    "bad": "it holds bad, beside pictures",
    "monday not_ok": "it holds not_ok, beside pictures",
    "monday/good monday/scratch": "it is deeper, .*pass .*pictures/monday$",
    "cam1/good cam1/bad": "it is deeper, .*pass .*pictures/cam1$",
    "bottle/train/good bottle/test/hole bottle/ground_truth/hole": "pass .*/bottle$",
    "a/train/good a/test/hole b/train/good b/test/hole": "pass .*/a; .*/b$",
    "Data/Images/Normal Data/Images/Anomaly Data/Masks/Anomaly": "pass .*Data/Images$",
    "Positive Negative": "it holds Negative; Positive, beside",
    "good_1.png good_2.png bad_1.png": "bad_1.png is named as a bad one, and would",
    "part_ok_1.png part_ng_2.png": "part_ng_2.png is named as a bad one",
    "img_1.png img_2.png defect_3.png": "defect_3.png is named as a bad one",
    "train/good test/bad/a.png test/bad/a_mask.png": "a_mask.png seems to be a mask",
    "monday/a.png monday/a_mask.png b.png": "a_mask.png seems to be a mask of the pict",
    "train/a.png train/a_GT.png test/good": "a_GT.png seems to be a mask",
    "ground_truth x.png": "it holds ground_truth, beside",
}


@pytest.mark.parametrize("layout, message", UNKNOWN.items())
def test_what_is_not_understood_is_refused_in_one_line(tmp_path, layout, message):
    root = tmp_path / "pictures"
    lay(root, layout)
    with pytest.raises(InputError, match="is laid out in no known way") as error:
        data.load("folder", data_dir=root, size=4)
    text = str(error.value).removesuffix(".")
    assert "\n" not in text
    with pytest.raises(InputError, match=message):
        raise InputError(text)


@pytest.mark.parametrize("name", ["bad", "NG", "defects", "ground_truth"])
def test_a_folder_that_is_named_bad_does_not_train(tmp_path, name):
    lay(tmp_path, f"{name} x/monday")
    with pytest.raises(InputError, match="would train as good ones, and its name says"):
        data.load("folder", data_dir=tmp_path / name, size=4)
    (tmp_path / "x").rename(tmp_path / "defect_detection")  # A name of the whole.
    assert counts(tmp_path / "defect_detection") == (2, 1, {})


@pytest.mark.parametrize("inside", ["test", "test/hole", "test/good", "ground_truth"])
def test_a_part_that_tests_does_not_train(tmp_path, inside):
    root = tmp_path / "pictures"
    lay(root, "train/good test/good test/hole ground_truth/hole")
    with pytest.raises(InputError, match="does not train: pass .*/pictures.$"):
        data.load("folder", data_dir=root / inside, size=4)


def kinds_of_tests(root):
    return sorted(
        {(test.kind, test.mask is not None) for test in folder.test_files(root)}
    )


def test_files_to_judge_on_have_kinds_and_masks(tmp_path):
    lay(tmp_path / "a", "train/good test/good test/hole ground_truth/hole")
    assert kinds_of_tests(tmp_path / "a") == [("good", False), ("hole", True)]
    test = next(t for t in folder.test_files(tmp_path / "a") if t.kind == "hole")
    assert test.mask == tmp_path / "a" / "ground_truth" / "hole" / test.path.name
    lay(tmp_path / "b", "test/ok test/bad train/bad")  # What trains is not looked at.
    assert kinds_of_tests(tmp_path / "b") == [("bad", False), ("good", False)]
    lay(tmp_path / "c", "Good scratch dent")
    kinds = [("dent", False), ("good", False), ("scratch", False)]
    assert kinds_of_tests(tmp_path / "c") == kinds
    assert len(folder.test_files(tmp_path / "c")) == 9


PARTS = ["test", "train", "test/hole", "test/good", "train/good", "ground_truth"]


@pytest.mark.parametrize("inside", PARTS)
def test_of_a_part_to_judge_on_the_whole_is_asked_for(tmp_path, monkeypatch, inside):
    root = tmp_path / "pictures"
    lay(root, "train/good test/good test/hole ground_truth/hole")
    with pytest.raises(InputError, match=f"pass {root}.$"):
        folder.test_files(root / inside)
    monkeypatch.chdir(root / inside)
    with pytest.raises(InputError, match=f"pass {root}.$"):
        folder.test_files(".")


def test_of_one_side_to_judge_on_both_are_asked_for(tmp_path):
    lay(tmp_path / "pictures", "good bad")
    for side in ("good", "bad"):
        with pytest.raises(InputError, match=f"needs both: pass {tmp_path}/pictures."):
            folder.test_files(tmp_path / "pictures" / side)
    with pytest.raises(InputError, match="There is no folder"):
        folder.test_files(tmp_path / "test")


def test_a_folder_is_the_same_however_it_is_spelled(tmp_path, monkeypatch):
    root = tmp_path / "pictures"
    lay(root, "monday tuesday wednesday thursday")
    (tmp_path / "link").symlink_to(root)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    spellings = ["pictures", "pictures/", "pictures/../pictures", "./link", str(root)]
    spellings += ["~/pictures", root]
    found = [data.load("folder", data_dir=place, size=4) for place in spellings]
    assert len({dataset.fingerprint(one) for one in found}) == 1
    assert len({(one.paths, tuple(one.official_test)) for one in found}) == 1
    assert len(list((tmp_path / "cache" / "datasets").iterdir())) == 1
    monkeypatch.chdir(root)
    here = data.load("folder", data_dir=".", size=4)
    assert dataset.fingerprint(here) == dataset.fingerprint(found[0])


def test_one_file_in_two_parts_is_refused(tmp_path):
    lay(tmp_path, "train/good test/bad")
    (tmp_path / "test" / "good").symlink_to(tmp_path / "train" / "good")
    with pytest.raises(InputError, match="good/0.png and .*good/0.png are one file"):
        data.load("folder", data_dir=tmp_path, size=4)


def test_a_loop_ends_in_any_layout(tmp_path):
    lay(tmp_path, "train/good test/good test/hole")
    for link in ("loop", "test/loop", "test/hole/loop"):
        (tmp_path / link).symlink_to(tmp_path)
    assert counts(tmp_path) == (3, 3, {"hole": 3})


def test_names_of_any_bytes_are_read_and_told_apart(tmp_path):
    lay(tmp_path, "monday")
    os.rename(tmp_path / "monday", os.fsencode(tmp_path) + b"/caf\xe9")
    found = data.load("folder", data_dir=tmp_path, size=4)
    assert found.paths is not None and len(found.paths) == 3
    assert all(os.fsencode(path).startswith(b"caf\xe9/") for path in found.paths)
    assert len(dataset.fingerprint(found)) == 8
