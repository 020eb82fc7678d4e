"""A run's summary, for tests to change."""

import dataclasses

from ocjax.evaluation.judgement import Judgement
from ocjax.evaluation.metrics import Kind, Localization, Measures
from ocjax.evaluation.thresholds import Decisions
from ocjax.runs.summary import Baseline, Identity, Summary, Training

MEASURES = Measures(
    auroc=0.976,
    auroc_low=0.96,
    auroc_high=0.989,
    average_precision=0.98,
    fpr_at_95_tpr=0.125,
    equal_error_rate=0.0625,
    best_f1_oracle=0.9,
)
DECISIONS = Decisions(
    threshold=0.012345,
    reached_false_positive_rate=0.05,
    reached_low=0.01,
    reached_high=0.125,
    anomalies_found=187,
    false_alarms=3,
)
JUDGEMENT = Judgement(
    normals=60,
    anomalies=192,
    measures=MEASURES,
    kinds={"crack": Kind(0.5, 0.25, 0.75, 12), "hole": Kind(1.0, 0.875, 1.0, 180)},
    promised_false_positive_rate=0.05,
    decisions=DECISIONS,
)
SUMMARY = Summary(
    identity=Identity("ganomaly", "mnist", "p2", "8", seed=3, epochs=20),
    judgement=JUDGEMENT,
    held_out_normals=1200,
    threshold_note=None,
    baselines={"loudness": Baseline(0.625, JUDGEMENT.kinds)},
    synthetic={"erased": 0.875, "jigsaw": 0.75},
    training=Training(
        train_normals=4800,
        steps=1000,
        images_per_second=371.5,
        compile_seconds=4.25,
        train_seconds=812.5,
        first_step_seconds=6.5,
    ),
    note="Six scenes of fifteen.",
    leaks=("The epoch was chosen on labels.",),
    warnings=("Look.",),
    localization=Localization(pixel_auroc=0.75, per_region_overlap=0.375),
    score_seconds=3.25,
    draw_seconds=4.5,
    command="ocjax train digits",
    workdir="runs/one",
)


def judged(**changes) -> Summary:
    """The summary with another judgement."""
    judgement = dataclasses.replace(JUDGEMENT, **changes)
    return dataclasses.replace(SUMMARY, judgement=judgement)
