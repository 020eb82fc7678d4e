"""Judge a trained detector on a folder of labelled pictures.

The folder is laid out as test/good and test/KIND, as good beside bad, or has a
labels.csv. Prints one JSON object: AUROC with its interval, by kind of anomaly too; the
false-positive rate that the threshold promises beside the one reached; and, where the
folder has masks, how well heatmaps find what they mark.

  ocjax evaluate pictures/ --model=runs/pictures
"""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ocjax.cli import arguments as shared

if TYPE_CHECKING:
    from ocjax.data.sources.folder import TestFile
    from ocjax.evaluation.judgement import Judgement
    from ocjax.evaluation.metrics import Localization
    from ocjax.inference.scorer import Scorer

HEATMAPS = 64  # Number of pictures that are explained together.


def add(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("folder", metavar="FOLDER", help="folder of labelled pictures")
    shared.add_model(parser)


def run(arguments: argparse.Namespace) -> int:
    """Judges and prints; returns 1 where files could not be read."""
    import json
    import math

    import numpy as np

    from ocjax import inference
    from ocjax._checks import InputError
    from ocjax.data import files
    from ocjax.data.sources import folder as folders
    from ocjax.evaluation import judgement, thresholds
    from ocjax.runs import conclusion
    from ocjax.runs.display import say

    tests = folders.test_files(arguments.folder)
    scorer = inference.open(arguments.model, arguments.false_positive_rate)
    paths = [str(test.path) for test in tests]
    verdicts = [verdict for _, verdict in scorer.judge_files(paths)]
    judged = [
        (test, verdict.score)
        for test, verdict in zip(tests, verdicts, strict=True)
        if not isinstance(verdict, Exception)
    ]
    errors = [verdict for verdict in verdicts if isinstance(verdict, Exception)]
    if errors:
        say(f"Left out: {files.unreadable(errors, len(tests))}.")
    scores = np.array([score for _, score in judged])
    kinds = np.array([test.kind for test, _ in judged])
    anomalous = kinds != folders.GOOD
    if anomalous.all() or not anomalous.any():
        raise InputError(
            f"{arguments.folder} has {np.sum(~anomalous)} good and {anomalous.sum()} "
            "anomalous test pictures that can be read; a judgement needs both."
        )
    card = scorer.card
    threshold = None
    if card.threshold is not None:
        threshold = thresholds.Threshold(
            card.threshold, card.false_positive_rate or math.nan, len(card.normals)
        )
    promised = None if threshold is None else card.false_positive_rate
    result = judgement.judge(anomalous, scores, kinds, threshold, promised)
    localization = _localization(scorer, [test for test, _ in judged])
    print(json.dumps(_printed(result, localization) | {"unreadable": len(errors)}))
    say(conclusion.line(result))
    return int(bool(errors))


def _printed(
    judgement: "Judgement", localization: "Localization | None"
) -> dict[str, Any]:
    """Values of the JSON object that is printed."""
    from ocjax import _records

    values = _records.to_json(judgement)
    low, high = values.pop("reached_low"), values.pop("reached_high")
    if judgement.decisions is not None:
        values["reached_interval"] = low, high
    return values | ({} if localization is None else _records.to_json(localization))


def _localization(
    scorer: "Scorer", tests: "Sequence[TestFile]"
) -> "Localization | None":
    """Measures of how well heatmaps find what masks mark, where there are masks."""
    import numpy as np

    from ocjax.data import files
    from ocjax.evaluation import metrics

    if not any(test.mask for test in tests):
        return None
    size, fit = scorer.card.size, scorer.card.fit
    masks = np.zeros((len(tests), size, size), bool)
    marked = [(i, test.mask) for i, test in enumerate(tests) if test.mask]
    read = lambda mask: files.read_mask(mask, size, fit)
    masks[[i for i, _ in marked]] = files.every(read, [mask for _, mask in marked])
    if not masks.any():
        return None
    paths = [str(test.path) for test in tests]
    maps = [
        scorer.judge(piece.images, explain=True).heatmaps
        for piece in files.pieces(paths, scorer.card.shape, HEATMAPS, fit)
    ]
    heatmaps = np.concatenate([part for part in maps if part is not None])
    return metrics.localization(masks, heatmaps)
