import re
import shutil
import sys
from typing import Any

import numpy as np
import pytest

from ocjax import _extras, data
from ocjax._checks import InputError
from ocjax.data.sources import faces, video

pytest.importorskip("av", reason="PyAV, the extra `video`, is not installed.")

import releases  # noqa: E402

SIZE = 8
RED, BLUE = np.array([[200, 0, 0], [0, 0, 200]], np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Both releases, each in a folder of its name."""
    root = tmp_path_factory.mktemp("faces")
    releases.replay_attack(root / "replay_attack")
    releases.casia_mfsd(root / "casia_mfsd")
    return root


def read(name, which, folder) -> Any:
    return faces.part(name, which, data_dir=folder, size=SIZE)


def kinds(dataset):
    names, counts = np.unique(dataset.labels, return_counts=True)
    return {dataset.class_names[i]: n for i, n in zip(names, counts, strict=True)}


def test_replay_attack_trains_on_genuine_faces_and_tests_on_all(folder):
    dataset: Any = faces.replay_attack(data_dir=folder, size=SIZE)
    assert dataset.images.shape == (3 * 2 * 2 + 2 * 8 * 2, SIZE, SIZE, 3)
    assert dataset.images.dtype == np.uint8
    assert dataset.labels.dtype == np.int64
    assert data.trainable(dataset) == [faces.GENUINE]
    # Of each video frames 0 and 10; 2 genuine videos a subject, 2 of each attack.
    train = dataset.labels[~dataset.official_test]
    test = dataset._replace(labels=dataset.labels[dataset.official_test])
    assert len(train) == 12 and (train == faces.GENUINE).all()
    assert kinds(test) == {"genuine": 8, "print": 8, "mobile": 8, "highdef": 8}
    assert (np.diff(dataset.official_test.astype(int)) >= 0).all()
    assert set(dataset.groups[~dataset.official_test]) == {1, 2, 4}
    assert set(dataset.groups[dataset.official_test]) == {9, 102}
    first = "train/real/client001_session01_webcam_authenticate_adverse_1.mov"
    assert dataset.paths[:2] == (f"{first}#0", f"{first}#10")
    assert {faces.video_of(path) for path in dataset.paths[:2]} == {first}
    assert "every 10th frame" in dataset.note and "face-locations" in dataset.note


def test_casia_trains_on_genuine_faces_and_tests_on_all(folder):
    dataset: Any = faces.casia_mfsd(data_dir=folder, size=SIZE)
    test = dataset._replace(labels=dataset.labels[dataset.official_test])
    assert (dataset.labels[~dataset.official_test] == faces.GENUINE).all()
    assert kinds(test) == {"genuine": 12, "warped": 12, "cut": 12, "video": 12}
    # Of four training subjects the last is held out; tested are others, 1 and 2.
    assert set(dataset.groups[~dataset.official_test]) == {1, 2, 3}
    assert set(dataset.groups[dataset.official_test]) == {5, 6}
    assert "central squares" in dataset.note and "held out" in dataset.note
    by_path = dict(zip(dataset.paths, dataset.labels, strict=True))
    assert by_path["test_release/2/HR_3.avi#10"] == dataset.class_names.index("cut")
    assert "train_release/1/HR_1.avi#0" in by_path
    assert "train_release/1/HR_2.avi#0" not in by_path


def test_of_the_casia_release_subjects_16_to_20_are_held_out(tmp_path, monkeypatch):
    for part, count in (("train_release", 20), ("test_release", 30)):
        for subject in range(1, count + 1):
            (tmp_path / part / str(subject)).mkdir(parents=True)
            for name in releases.CASIA:
                (tmp_path / part / str(subject) / f"{name}.avi").touch()
    subjects, counts = {}, {}
    for which in faces.PARTS:
        videos = faces.RELEASES["casia_mfsd"].videos(tmp_path, which)
        subjects[which] = sorted({video.subject for video in videos})
        counts[which] = len(videos)
    assert subjects["train"] == list(range(1, 16))
    assert subjects["development"] == list(range(16, 21))
    assert subjects["test"] == list(range(21, 51))
    assert counts == {"train": 15 * 3, "development": 5 * 12, "test": 30 * 12}


@pytest.mark.parametrize("name", faces.RELEASES)
def test_no_subject_is_on_two_sides(name, folder):
    source = {"replay_attack": faces.replay_attack, "casia_mfsd": faces.casia_mfsd}
    dataset: Any = source[name](data_dir=folder, size=SIZE)
    development = read(name, "development", folder)
    split = data.split("folder", dataset, faces.GENUINE, validation_fraction=0.3)
    parts = [set(dataset.groups[rows]) for rows in (split.train, split.validation)]
    parts += [set(dataset.groups[split.test]), set(development.groups)]
    assert all(parts)
    assert len(set.union(*parts)) == sum(map(len, parts))
    assert not development.official_test.any()
    assert set(kinds(development)) == set(dataset.class_names)
    np.testing.assert_array_equal(split.anomalous, dataset.labels[split.test] > 0)


def painted(box, count=11):
    """Blue frames with a red box."""
    x, y, width, height = box
    frames = np.tile(BLUE, (count, 24, 32, 1))
    frames[:, y : y + height, x : x + width] = RED
    return frames


def assert_color(image, color):
    """Within what compression does to it."""
    found = image[2:-2, 2:-2].mean((0, 1))
    assert np.abs(found - color).max() < 30, found


@pytest.fixture(scope="module")
def boxed(tmp_path_factory):
    """A release whose videos have a red box on blue."""
    root = tmp_path_factory.mktemp("boxed")
    return releases.replay_attack(root, lambda _: painted(releases.BOX))


@pytest.fixture
def release(boxed, tmp_path):
    """A copy of it, to change."""
    return shutil.copytree(boxed, tmp_path / "replay_attack")


def test_frames_are_cropped_to_their_boxes(release):
    dataset = read("replay_attack", "train", release.parent)
    for image in dataset.images:
        assert_color(image, RED)
    # The frame as it is, cut by hand and resized.
    path = release / faces.video_of(dataset.paths[0])
    (_, frame), *_ = video.frames(path, every=1, most=1)
    x, y, width, height = releases.BOX
    cut = frame[None, y : y + height, x : x + width]
    np.testing.assert_array_equal(dataset.images[0], data.resize(cut, SIZE)[0])


@pytest.mark.parametrize(
    ("boxes", "colors"),
    [
        ("0 4 2 16 12\n10 22 14 8 8\n", (RED, BLUE)),
        ("0 4 2 16 12\n10 0 0 0 0\n", (RED, RED)),  # Not detected: as before.
        ("0 0 0 0 0\n5 4 2 16 12\n", (RED, RED)),  # The first that there is.
        ("3 22 14 8 8\n9 4 2 16 12\n11 22 14 8 8\n", (BLUE, RED)),
        ("0 -40 14 48 30\n", (BLUE, BLUE)),  # Partly beside the frame.
    ],
)
def test_a_frame_without_a_box_has_that_before_it(release, boxes, colors):
    first = sorted((release / "train" / "real").glob("*"))[0]
    releases.write_boxes(release, first, boxes)
    dataset = read("replay_attack", "train", release.parent)
    for image, color in zip(dataset.images[:2], colors, strict=True):
        assert_color(image, color)


def test_a_video_without_boxes_is_cropped_centrally_and_counted(release):
    first = sorted((release / "train" / "real").glob("*"))[0]
    releases.write_boxes(release, first, "0 0 0 0 0\n1 0 0 0 0\n")
    releases.write_video(first, painted((4, 0, 24, 24)))
    dataset = read("replay_attack", "train", release.parent)
    assert_color(dataset.images[0], RED)
    said = "for want of a box: 1 videos"
    assert said in dataset.note
    whole = faces.replay_attack(data_dir=release.parent, size=SIZE).note
    assert whole.startswith("Training part: ") and whole.count(said) == 1


def test_casia_is_cropped_centrally_or_to_boxes_that_are_there(tmp_path):
    root = releases.casia_mfsd(
        tmp_path / "casia_mfsd", lambda _: painted((4, 0, 24, 24))
    )
    for image in read("casia_mfsd", "train", tmp_path).images:
        assert_color(image, RED)
    for path in root.glob("*_release/*/*.avi"):
        releases.write_boxes(root, path, "0 0 0 4 24\n")
    boxed = read("casia_mfsd", "train", tmp_path)
    assert_color(boxed.images[0], BLUE)
    assert "face-locations" in boxed.note


def test_the_second_reading_comes_from_the_cache_until_a_file_changes(
    release, monkeypatch
):
    first = read("replay_attack", "train", release.parent)
    monkeypatch.setattr(faces, "frames", None)
    again = read("replay_attack", "train", release.parent)
    np.testing.assert_array_equal(again.images, first.images)
    assert again.paths == first.paths
    boxes = next((release / "face-locations" / "train").rglob("*.face"))
    boxes.write_text("0 1 1 4 4\n")
    with pytest.raises(TypeError):  # Read anew, by what is None.
        read("replay_attack", "train", release.parent)


def test_the_release_itself_may_be_named(folder):
    by_parent = read("casia_mfsd", "development", folder)
    itself = read("casia_mfsd", "development", folder / "casia_mfsd")
    assert itself.paths == by_parent.paths
    np.testing.assert_array_equal(itself.images, by_parent.images)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (faces.replay_attack, ["real,attack/fixed", "idiap.ch", ".face", "train in"]),
        (faces.casia_mfsd, ["HR_1", "cbsr.ia.ac.cn", "train_release in"]),
    ],
)
def test_a_release_that_is_not_there_is_explained(source, said, tmp_path):
    with pytest.raises(InputError) as caught:
        source(data_dir=tmp_path, size=SIZE)
    for text in [*said, str(tmp_path), "licensed", "--data_dir"]:
        assert text in str(caught.value)


def remove(path):
    path.unlink()


REAL = "test/real/client009_session01_webcam_authenticate_adverse_1"
DAMAGES = {
    "no boxes": (f"face-locations/{REAL}.face", remove, "Found no"),
    "box": (
        f"face-locations/{REAL}.face",
        lambda path: path.write_text("0 1 2 3\n"),
        r'line 1: expected "frame x y width height"',
    ),
    "box beside": (
        f"face-locations/{REAL}.face",
        lambda path: path.write_text("0 500 2 3 4\n"),
        "beside the picture",
    ),
    "video": (f"{REAL}.mov", lambda path: path.write_bytes(b"no video"), "no readable"),
    "empty video": (f"{REAL}.mov", lambda path: path.write_bytes(b""), "no readable"),
    "name": (f"{REAL}.mov", lambda path: path.rename(path.with_name("x.mov")), "named"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named_in_one_line(damage, release):
    name, do, message = DAMAGES[damage]
    do(release / name)
    with pytest.raises(InputError, match=message) as caught:
        read("replay_attack", "test", release.parent)
    assert ("x.mov" if damage == "name" else name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_videos_are_named(release, tmp_path):
    for path in (release / "devel" / "attack" / "hand").iterdir():
        path.unlink()
    with pytest.raises(InputError, match=r"Found no .*devel/attack/hand/\*\.mov"):
        read("replay_attack", "development", release.parent)
    root = releases.casia_mfsd(tmp_path / "casia_mfsd")
    (root / "test_release" / "2" / "HR_2.avi").unlink()
    with pytest.raises(InputError, match=r"Found no .*test_release/2/HR_2\.avi"):
        read("casia_mfsd", "test", tmp_path)
    with pytest.raises(InputError, match="did you mean 'casia_mfsd'"):
        read("casia_mfds", "test", tmp_path)


def test_videos_need_pyav(release, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match=re.escape(_extras.install("video"))):
        read("replay_attack", "train", release.parent)


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    """A video that gets 10 levels brighter with every frame."""
    path = tmp_path_factory.mktemp("video") / "steps.mov"
    levels = np.arange(0, 250, 10).astype(np.uint8)
    releases.write_video(path, np.tile(levels[:, None, None, None], (1, 24, 32, 3)))
    return path


@pytest.mark.parametrize(
    ("every", "most", "numbers"),
    [(1, 3, [0, 1, 2]), (10, 20, [0, 10, 20]), (7, 2, [0, 7]), (100, 5, [0])],
)
def test_every_kth_frame_up_to_a_number(steps, every, most, numbers):
    found = list(video.frames(steps, every=every, most=most))
    assert [number for number, _ in found] == numbers
    for number, frame in found:
        assert frame.shape == (24, 32, 3) and frame.dtype == np.uint8
        assert abs(frame.mean() - 10 * number) < 3


def test_a_video_is_decoded_no_further_than_needed(steps, tmp_path):
    content = bytearray(steps.read_bytes())
    starts = [i for i in range(len(content)) if content[i : i + 3] == b"\xff\xd8\xff"]
    content[starts[-2] + 300 : starts[-2] + 600] = bytes(300)
    damaged = tmp_path / "damaged.mov"
    damaged.write_bytes(content)
    assert len(list(video.frames(damaged, every=5, most=3))) == 3
    with pytest.raises(InputError, match=r"damaged\.mov is no readable video"):
        list(video.frames(damaged, every=1, most=100))


def test_bad_numbers_of_frames_raise(steps):
    with pytest.raises(ValueError, match=r"`every` \(=0\)"):
        list(video.frames(steps, every=0, most=1))
