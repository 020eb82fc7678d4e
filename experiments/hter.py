r"""Half total error rate across data sets of faces: LR-GDAN's Table 5.

    python experiments/train.py --config=experiments/lrgdan/cifar10.py \
        --config.dataset=replay_attack --config.protocol=folder \
        --config.normal_class=genuine --workdir=RUN --data_dir=DIR
    python experiments/hter.py --run=RUN --source=replay_attack --target=casia_mfsd \
        --data_dir=DIR --out=FILE.json

The run was trained on genuine faces of the source. A video's score is the mean of its
frames' scores. The threshold is where, on the development part of the source, attacks
are accepted as often as genuine faces are rejected: it is the one thing before the
judgement that needs labels of attacks. From the target's test part it would be a leak.

The last line printed is one JSON object: the half total error rate on the target's test
part ("cross") and on the source's ("within"), and the AUROC of each with its interval,
which resamples videos.
"""

import json
import sys
from typing import Any, NamedTuple

import numpy as np
from absl import flags

from ocjax import _files, data
from ocjax._checks import InputError, one_of
from ocjax.cli import exits
from ocjax.data.sources import faces
from ocjax.evaluation import metrics
from ocjax.inference.run_folder import Trained, trained

RUN = flags.DEFINE_string("run", None, "Run folder of the detector.", required=True)
SOURCE = flags.DEFINE_string(
    "source", None, "Data set that the detector was trained on.", required=True
)
TARGET = flags.DEFINE_string("target", None, "The other data set.", required=True)
DATA_DIR = flags.DEFINE_string("data_dir", None, "Folder of both data sets.")
OUT = flags.DEFINE_string("out", None, "File to write the result to as well.")


class Videos(NamedTuple):
    """Scores of videos, and which of these are attacks."""

    attacks: np.ndarray  # Whether a video is an attack, bool [V].
    scores: np.ndarray  # Scores, float64 [V], larger where less genuine.
    note: str  # Note on how the videos were read.


def evaluate(
    detector: Trained, source: str, target: str, data_dir: str | None
) -> dict[str, Any]:
    """Returns the error rates of a detector, ready for JSON.

    Args:
      detector: detector that was trained on genuine faces of the source.
      source: data set whose development part chooses the threshold.
      target: name of the other data set.
      data_dir: folder of both data sets.

    Raises:
      InputError: the detector was trained otherwise, or the data cannot be read.

    References:
      Bengio and Mariethoz, A statistical significance test for person authentication,
      2004.
    """
    for name in (source, target):
        one_of("data set of faces", name, faces.RELEASES)
    _check(detector, source)
    development = score(detector, source, "development", data_dir)
    equal = metrics.equal_error_rate(development.attacks, development.scores)
    tests = {name: score(detector, name, "test", data_dir) for name in (source, target)}
    count = np.sum(development.attacks)
    return {
        "run": str(detector.folder),
        "method": detector.known.config.method,
        "step": int(detector.state.step),
        "finished": detector.finished,
        "source": source,
        "target": target,
        "threshold": equal.threshold,
        "threshold_from": f"equal error rate on the development part of {source}, by "
        f"the labels of {len(development.attacks) - count} genuine videos and {count} "
        "attacks; no label of a test part",
        "development_equal_error_rate": equal.rate,
        "cross": judge(tests[target], equal.threshold),
        "within": judge(tests[source], equal.threshold),
        "notes": {name: videos.note for name, videos in tests.items()},
    }


def score(detector: Trained, name: str, part: str, data_dir: str | None) -> Videos:
    """Scores the videos of one part of a data set."""
    size = detector.known.config.image_size
    dataset = faces.part(name, part, data_dir=data_dir, size=size)
    return by_video(dataset, detector.score(dataset.images))


def by_video(dataset: data.Dataset, scores: np.ndarray) -> Videos:
    """Averages the scores of each video's frames."""
    assert dataset.paths is not None
    names = [faces.video_of(path) for path in dataset.paths]
    _, first, video = np.unique(names, return_index=True, return_inverse=True)
    means = np.bincount(video, scores.astype(np.float64)) / np.bincount(video)
    return Videos(dataset.labels[first] != faces.GENUINE, means, dataset.note)


def judge(videos: Videos, threshold: float) -> dict[str, float | int]:
    """Error rates at a threshold chosen elsewhere, and the AUROC, for JSON."""
    attacks, scores, _ = videos
    accepted = scores <= threshold
    low, high = metrics.auroc_interval(attacks, scores)
    return {
        "hter": metrics.half_total_error_rate(attacks, scores, threshold),
        "attacks_accepted": float(np.mean(accepted[attacks])),
        "genuine_rejected": float(np.mean(~accepted[~attacks])),
        "auroc": metrics.auroc(attacks, scores),
        "auroc_low": low,
        "auroc_high": high,
        "genuine": int(np.sum(~attacks)),
        "attacks": int(np.sum(attacks)),
    }


def _check(detector: Trained, source: str) -> None:
    """Raises `InputError` unless genuine faces of the source trained the detector."""
    config = detector.known.config
    if config.dataset != source:
        raise InputError(
            f"{detector.folder} was trained on {config.dataset!r}, not on {source!r}: "
            "the threshold is of the data set that trained."
        )
    genuine = faces.RELEASES[source].classes[faces.GENUINE]
    if config.protocol not in ("folder", "p2") or config.normal_class != genuine:
        raise InputError(
            f"{detector.folder} was trained by protocol {config.protocol!r} on "
            f"{getattr(config, data.TARGET[config.protocol])!r}: expected 'folder' on "
            f"{genuine!r}, which leaves the test part alone."
        )


def main(_) -> None:
    """Evaluates the detector of the flags and prints the result."""
    detector = trained(RUN.value)
    result = evaluate(detector, SOURCE.value, TARGET.value, DATA_DIR.value)
    print(json.dumps(result))
    sys.stdout.flush()
    if OUT.value:
        with _files.replacing(OUT.value) as temporary:
            temporary.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    exits.start(exits.guarded(main), exits.parse_flags)
