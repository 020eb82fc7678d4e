"""Small data sets of faces in the layouts of their releases, with no faces in them."""

import pathlib
from collections.abc import Callable

import numpy as np

PARTS = {"train": (1, 2, 4), "devel": (103, 6), "test": (9, 102)}
ATTACKS = {
    "print": "highdef_photo",
    "mobile": "mobile_video",
    "highdef": "highdef_photo",
}
CASIA = ("1", "2", "3", "4", "5", "6", "7", "8", "HR_1", "HR_2", "HR_3", "HR_4")
BOX = (4, 2, 16, 12)  # x, y, width, height.


def noise(path: pathlib.Path, count: int = 11) -> np.ndarray:
    """Frames `[count, 24, 32, 3]` that depend on the name of the file alone."""
    rng = np.random.default_rng(list(path.as_posix().encode()))
    level = rng.uniform(60, 190)
    return np.clip(rng.normal(level, 20, (count, 24, 32, 3)), 0, 255).astype(np.uint8)


def write_video(path: pathlib.Path, frames: np.ndarray) -> None:
    """Writes frames `[n, H, W, 3]` as `.mov` (Motion JPEG) or `.avi` (MPEG-4)."""
    import av

    codec, pixels = ("mjpeg", "yuvj420p") if path.suffix == ".mov" else ("mpeg4", None)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixels or "yuv420p"
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def write_boxes(root: pathlib.Path, video: pathlib.Path, text: str) -> None:
    """Writes the face boxes of a video."""
    path = (root / "face-locations" / video.relative_to(root)).with_suffix(".face")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def replay_attack(
    root: pathlib.Path, frames: Callable[[pathlib.Path], np.ndarray] = noise
) -> pathlib.Path:
    """Writes Replay-Attack's layout: two genuine videos and six attacks a subject."""
    for part, subjects in PARTS.items():
        for subject in subjects:
            who = f"client{subject:03d}_session01"
            names = [f"real/{who}_webcam_authenticate_{x}_1" for x in ("adverse", "co")]
            names += [
                f"attack/{support}/attack_{kind}_{who}_{of}_adverse"
                for support in ("fixed", "hand")
                for kind, of in ATTACKS.items()
            ]
            for name in names:
                video = root / part / f"{name}.mov"
                pictures = frames(video.relative_to(root))
                write_video(video, pictures)
                lines = [f"{i} {' '.join(map(str, BOX))}" for i in range(len(pictures))]
                write_boxes(root, video, "\n".join(lines) + "\n")
    return root


def casia_mfsd(
    root: pathlib.Path,
    frames: Callable[[pathlib.Path], np.ndarray] = noise,
    subjects: tuple[int, int] = (4, 2),
) -> pathlib.Path:
    """Writes CASIA-MFSD's layout: three genuine videos and nine attacks a subject."""
    for part, count in zip(("train_release", "test_release"), subjects, strict=True):
        for subject in range(1, count + 1):
            for name in CASIA:
                video = root / part / str(subject) / f"{name}.avi"
                write_video(video, frames(video.relative_to(root)))
    return root
