"""Face presentation attacks: genuine faces, and pictures or videos of faces.

The two data sets are licensed, so nothing here can download them: `data_dir` is the
user's folder of them, each release in a folder of the name of its source or directly.
The half total error rate is compared across them (LR-GDAN, Table 5).

* `replay_attack`: Replay-Attack (Chingovska, Anjos and Marcel, 2012). Its release has
  the parts `train`, `devel` and `test`, whose subjects differ, and the face boxes that
  frames are cropped to.
* `casia_mfsd`: CASIA-MFSD, also called CASIA-FASD (Zhang et al., 2012). Its release has
  the parts `train_release` and `test_release`, whose subjects differ, and no face
  boxes: frames are cut to their central squares, no face being looked for. Where a
  folder `face-locations` lies beside the parts, as the package bob.db.casia_fasd has
  it, frames are cropped to its boxes instead.

A source gives the genuine faces of the training part, and the whole test part. Training
attacks are left out. A third part, of other subjects again, is the development part,
with attacks: the threshold of an equal error rate is chosen there, by labels. No source
has it; `part` reads it.

Every tenth frame of a video is taken, up to twenty.
"""

import bisect
import os
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ocjax import _checks
from ocjax._checks import InputError
from ocjax.data import cache, files, images, prepared
from ocjax.data.dataset import Dataset
from ocjax.data.sources.video import frames

EVERY, MOST = 10, 20  # Distance and most frames; 25 a second give eight seconds.
GENUINE = 0  # Label of genuine faces.
PARTS = ("train", "development", "test")

_ARRAYS = ("images", "frames", "videos", "boxed")
_READING = 1  # Part of the cache's key, to be raised when `_read` changes arrays.


class Video(NamedTuple):
    """A video of one subject."""

    path: pathlib.Path
    label: int
    subject: int
    boxes: pathlib.Path | None  # File of the face boxes, if there is one.


class Release(NamedTuple):
    """Distribution of a data set."""

    classes: tuple[str, ...]
    # Function (root, part) -> list of `Video`, without the training part's attacks.
    videos: Callable
    marker: str  # Name of a folder at its root.
    layout: str  # Description of its files, for messages.
    site: str  # Address to ask for it.
    note: str


def replay_attack(*, data_dir: str | os.PathLike | None, size: int) -> Dataset:
    """Reads genuine faces for training, genuine faces and attacks for testing.

    Attacks are printed photographs, and photographs or videos on the screen of a mobile
    phone or of a tablet (high definition), each with a fixed support or in a hand.

    A face box is a line "frame x y width height" of
    `face-locations/<path of the video>.face`, frames counted from 0. A frame without a
    box, or with one of zeros, takes that of the last frame before it that has one, else
    of the first; a video without any is cropped to its central square, as the note
    says.

    Args:
      data_dir: folder with `replay_attack/{train,devel,test,face-locations}`, or with
        these four.
      size: height and width of the images.

    Returns:
      Colour images; groups are subjects, paths "<video>#<frame>".

    Raises:
      InputError: the data set, one of its files, or PyAV is missing; or a file cannot
        be read.

    References:
      Chingovska, Anjos and Marcel, On the Effectiveness of Local Binary Patterns in
      Face Anti-spoofing, 2012. Layout and boxes as bob.db.replay reads them.
    """
    return _train_and_test("replay_attack", data_dir, size)


def casia_mfsd(*, data_dir: str | os.PathLike | None, size: int) -> Dataset:
    """Reads genuine faces for training, genuine faces and attacks for testing.

    Each subject has three genuine videos, by cameras of low, normal and high quality,
    and as many of each attack: a warped photograph, a photograph with the eyes cut out,
    and a video on a screen.

    The release has no development part. Here it is the last quarter of the training
    subjects by number: 16 to 20, those that bob.pad.face takes too.

    The release has no face boxes either, so images are the central squares of frames,
    unless there are `face-locations`; see the module.

    Args:
      data_dir: folder with `casia_mfsd/{train_release,test_release}`, or with these
        two.
      size: height and width of the images.

    Returns:
      Colour images; groups are subjects, paths "<video>#<frame>".

    Raises:
      InputError: the data set, one of its files, or PyAV is missing; or a file cannot
        be read.

    References:
      Zhang et al., A Face Antispoofing Database with Diverse Attacks, 2012. Layout and
      numbers as bob.db.casia_fasd reads them.
    """
    return _train_and_test("casia_mfsd", data_dir, size)


def part(
    name: str, part_name: str, *, data_dir: str | os.PathLike | None, size: int
) -> Dataset:
    """Reads one part of a data set.

    Args:
      name: key of `RELEASES`.
      part_name: one of `PARTS`; "train" has genuine faces alone. Only "test" counts as
        the official test part.
      data_dir: folder, as the source of that name takes it.
      size: height and width of the images.

    Raises:
      InputError: a name is unknown, or the source would refuse the folder.
    """
    release = RELEASES[_checks.one_of("data set of faces", name, RELEASES)]
    _checks.one_of("part", part_name, PARTS)
    root = prepared.release(
        name,
        data_dir,
        release.marker,
        f"Expected {release.layout}. It is licensed: ask for it at {release.site}, and "
        "name the folder it is in by --data_dir.",
    )
    videos = release.videos(root, part_name)
    arrays = _read_all(f"{name}-{part_name}", videos, size)
    video_of_image = [videos[i] for i in arrays["videos"]]
    return Dataset(
        name,
        images=arrays["images"],
        labels=np.array([video.label for video in video_of_image], np.int64),
        official_test=np.full(len(video_of_image), part_name == "test"),
        class_names=release.classes,
        groups=np.array([video.subject for video in video_of_image], np.int64),
        paths=tuple(
            f"{video.path.relative_to(root).as_posix()}#{frame}"
            for video, frame in zip(video_of_image, arrays["frames"], strict=True)
        ),
        note=release.note + _note_on_boxes(videos, arrays["boxed"]),
    )


def video_of(path: str) -> str:
    """Path of the video that an image is from, given the image's path in a data set."""
    return path.rpartition("#")[0]


def _train_and_test(name: str, data_dir, size: int) -> Dataset:
    train, test = (
        part(name, part_name, data_dir=data_dir, size=size)
        for part_name in ("train", "test")
    )
    assert train.groups is not None and test.groups is not None
    assert train.paths is not None and test.paths is not None
    note = test.note
    if test.note != train.note:
        note = f"Training part: {train.note} Test part: {test.note}"
    return test._replace(
        images=np.concatenate([train.images, test.images]),
        labels=np.concatenate([train.labels, test.labels]),
        official_test=np.concatenate([train.official_test, test.official_test]),
        groups=np.concatenate([train.groups, test.groups]),
        paths=train.paths + test.paths,
        note=note,
    )


def _replay_videos(root: pathlib.Path, part_name: str) -> list[Video]:
    folder = "devel" if part_name == "development" else part_name
    patterns = [f"{folder}/real/*.mov"]
    if part_name != "train":
        patterns += [f"{folder}/attack/{how}/*.mov" for how in ("fixed", "hand")]
    # An example is attack_print_client001_session01_highdef_photo_adverse.mov.
    name = re.compile(r"(?:attack_(print|mobile|highdef)_)?client(\d+)_.*\.mov")
    classes, videos = RELEASES["replay_attack"].classes, []
    for pattern in patterns:
        paths = [path for path in root.glob(pattern) if path.name[0] != "."]
        if not paths:
            raise _missing(root / pattern)
        for path in sorted(paths):
            match, attack = name.fullmatch(path.name), "/attack/" in pattern
            if match is None or attack != bool(match[1]):
                raise InputError(f"{path} is not named as a video of the release is.")
            label = classes.index(match[1]) if attack else GENUINE
            videos.append(Video(path, label, int(match[2]), _boxes_of(path, root)))
    return videos


def _casia_videos(root: pathlib.Path, part_name: str) -> list[Video]:
    training = _subjects(root / "train_release")
    held_out = training[-max(1, len(training) // 4) :]
    folder = "train_release"
    if part_name == "test":
        # Other people have the same numbers, so these go on where training ends.
        folder, offset = "test_release", training[-1]
        chosen = _subjects(root / folder)
    else:
        offset = 0
        chosen = held_out if part_name == "development" else training[: -len(held_out)]
    has_boxes, videos = (root / "face-locations").is_dir(), []
    for number in chosen:
        for name, label in _CASIA_LABELS.items():
            if part_name == "train" and label != GENUINE:
                continue
            path = root / folder / str(number) / f"{name}.avi"
            if not path.is_file():
                raise _missing(path)
            boxes = _boxes_of(path, root) if has_boxes else None
            videos.append(Video(path, label, number + offset, boxes))
    return videos


# Labels of file names; each has videos of normal, low and high quality.
_CASIA_LABELS = {
    name: label
    for label, names in enumerate(["1 2 HR_1", "3 4 HR_2", "5 6 HR_3", "7 8 HR_4"])
    for name in names.split()
}


def _boxes_of(video: pathlib.Path, root: pathlib.Path) -> pathlib.Path:
    path = root / "face-locations" / video.relative_to(root).with_suffix(".face")
    if not path.is_file():
        raise _missing(path)
    return path


def _missing(path: pathlib.Path) -> InputError:
    return InputError(f"Found no {path}; is the release complete?")


def _subjects(folder: pathlib.Path) -> list[int]:
    """Numbers of the subjects that have a folder, rising."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    numbers = sorted(int(name) for name in names if name.isdecimal())
    if len(numbers) < 2:
        raise InputError(
            f"Found {len(numbers)} subjects in {folder}, but expected a folder for "
            "each, named by its number."
        )
    return numbers


def _read_all(name: str, videos: Sequence[Video], size: int) -> cache.Arrays:
    """Reads frames of many videos, by the cache.

    Returns:
      Arrays `images`, `uint8 [N, size, size, 3]`; `frames` and `videos`, `int64 [N]`,
      numbers of their frames and videos; `boxed`, `bool [len(videos)]`, True for videos
      with a face box.
    """
    paths = [path for video in videos for path in (video.path, video.boxes) if path]

    def make() -> cache.Arrays:
        # The first video that cannot be read ends this, unlike with `files.every`.
        read = list(files.threaded(lambda video: _read(video, size), videos))
        counts = [len(numbers) for _, numbers, _ in read]
        return {
            "images": np.concatenate([pixels for pixels, _, _ in read]),
            "frames": np.concatenate([numbers for _, numbers, _ in read]),
            "videos": np.repeat(np.arange(len(videos)), counts),
            "boxed": np.array([boxed for _, _, boxed in read]),
        }

    return cache.cached(cache.key(paths, name, size, _READING), _ARRAYS, make)


def _read(video: Video, size: int) -> tuple[np.ndarray, np.ndarray, bool]:
    """Faces `[n, size, size, 3]`, numbers of their frames, whether there are boxes."""
    boxes = {} if video.boxes is None else _boxes(video.boxes)
    boxed, faces, numbers = sorted(boxes), [], []
    for number, frame in frames(video.path, every=EVERY, most=MOST):
        if boxes:
            last = boxed[max(bisect.bisect_right(boxed, number) - 1, 0)]
            face = _cut(frame, *boxes[last])
            if not face.size:
                raise InputError(f"{video.boxes}: box {last} is beside the picture.")
        else:
            face = _central_square(frame)
        faces.append(images.resize_one(face, size))
        numbers.append(number)
    return np.stack(faces), np.array(numbers, np.int64), bool(boxes)


def _boxes(path: pathlib.Path) -> dict[int, tuple[int, int, int, int]]:
    """Face boxes (x, y, width, height) by the numbers of their frames."""
    boxes = {}
    for i, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
        try:
            number, x, y, width, height = map(int, line.split())
        except ValueError:
            if not line.strip():
                continue
            raise InputError(
                f'{path}, line {i}: expected "frame x y width height", five integers, '
                f"got {line[:60]!r}."
            ) from None
        if width > 0 and height > 0:
            boxes[number] = (x, y, width, height)
    return boxes


def _cut(frame: np.ndarray, x: int, y: int, width: int, height: int) -> np.ndarray:
    """Part of a box that is within the frame, `[h, w, 3]`."""
    return frame[max(y, 0) : max(y + height, 0), max(x, 0) : max(x + width, 0)]


def _central_square(frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return frame[top : top + side, left : left + side]


def _note_on_boxes(videos: Sequence[Video], boxed: np.ndarray) -> str:
    if not any(video.boxes for video in videos):
        return " It has no face boxes: images are the central squares of frames."
    note = " Frames are cropped to the boxes of `face-locations`."
    if not boxed.all():
        note += f" Central squares, for want of a box: {np.sum(~boxed)} videos."
    return note


_FRAMES = f"Of each video every {EVERY}th frame, up to {MOST}."  # Part of the notes.
RELEASES = {
    "replay_attack": Release(
        classes=("genuine", "print", "mobile", "highdef"),
        videos=_replay_videos,
        marker="train",
        layout="{train,devel,test}/{real,attack/fixed,attack/hand}/*.mov, and "
        "face-locations with files of the same paths that end in .face",
        site="https://www.idiap.ch/en/scientific-research/data/replayattack",
        note=_FRAMES,
    ),
    "casia_mfsd": Release(
        classes=("genuine", "warped", "cut", "video"),
        videos=_casia_videos,
        marker="train_release",
        layout="{train_release,test_release}/<number of subject>/"
        "{1,...,8,HR_1,...,HR_4}.avi",
        site="http://www.cbsr.ia.ac.cn/english/FaceAntiSpoofDatabases.asp",
        note=_FRAMES + " The last quarter of the training subjects is held out, as a "
        "development part, which the release has not.",
    ),
}
