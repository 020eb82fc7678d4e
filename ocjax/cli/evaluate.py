"""Judge a trained detector on a folder of labelled pictures.

The folder is laid out as test/good and test/KIND, as normal and anomalous, or has a
labels.csv. Prints one JSON object: AUROC with its interval, by kind of anomaly too; and
the false-positive rate that the threshold promises beside the one reached.

  ocjax evaluate pictures/ --model=runs/pictures
"""

import argparse

from ocjax.cli import arguments as shared


def add(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("folder", metavar="FOLDER", help="of labelled pictures")
    shared.add_model(parser)


def run(arguments: argparse.Namespace) -> int:
    """Judges and prints; returns 1 where files could not be read."""
    import json
    import math

    import numpy as np

    from ocjax._checks import InputError
    from ocjax.data import files
    from ocjax.data import folder as folders
    from ocjax.evaluation import metrics, thresholds
    from ocjax.launch.display import say
    from ocjax.models import open_model

    listed = folders.test_files(arguments.folder)
    scorer = open_model(arguments.model, arguments.false_positive_rate)
    judged = list(scorer.judge_files([str(path) for path, _ in listed]))
    errors = [found for _, found in judged if isinstance(found, Exception)]
    good = [
        (found.score, kind)
        for (_, found), (_, kind) in zip(judged, listed, strict=True)
        if not isinstance(found, Exception)
    ]
    if errors:
        say(f"Left out: {files.unreadable(errors, len(listed))}.")
    scores = np.array([score for score, _ in good])
    kinds = np.array([kind for _, kind in good])
    anomalous = kinds != folders.GOOD
    if anomalous.all() or not anomalous.any():
        raise InputError(
            f"{arguments.folder} has {np.sum(~anomalous)} good and {anomalous.sum()} "
            "anomalous test pictures that can be read; a judgement needs both."
        )
    card = scorer.card
    result = metrics.summary(anomalous, scores)
    result |= {"kinds": metrics.by_kind(anomalous, scores, kinds)}
    result |= {"threshold": card.threshold, "promised_false_positive_rate": None}
    if card.threshold is not None:
        threshold = thresholds.Threshold(
            card.threshold, card.false_positive_rate or math.nan, len(card.normals)
        )
        normals = scores[~anomalous]
        result |= {
            "promised_false_positive_rate": card.false_positive_rate,
            "reached_false_positive_rate": thresholds.reached(normals, threshold),
            "reached_interval": thresholds.reached_interval(normals, threshold),
            "found_anomalies": float(np.mean(scores[anomalous] > card.threshold)),
        }
    print(json.dumps(result | {"unreadable": len(errors)}))
    return int(bool(errors))
