"""Results of a run or an evaluation in plain lines."""

from ocjax.evaluation.judgement import Judgement
from ocjax.runs.summary import Summary


def lines(summary: Summary) -> list[str]:
    """Lines with the result of a run, that of simple scores, and warnings."""
    warnings = [f"Warning: {warning}" for warning in summary.warnings]
    return [line(summary.judgement), *simple(summary), *warnings]


def simple(summary: Summary) -> list[str]:
    """Line with the AUROCs of simple scores on the same pictures, worst first, if any.

    "Simple scores on the same pictures: mean image 0.964, pca 0.967, knn 0.982".
    """
    aurocs = sorted((score.auroc, name) for name, score in summary.baselines.items())
    listed = ", ".join(f"{name} {auroc:.3f}" for auroc, name in aurocs)
    return [f"Simple scores on the same pictures: {listed}"] if listed else []


def line(judgement: Judgement) -> str:
    """Line with the result in plain words.

    "AUROC 0.976 (0.960 to 0.989); 187 of 192 anomalies found; 3 of 60 good pictures
    called anomalous (promised 5 %)".
    """
    parts, measures = ["No anomalous pictures to judge by"], judgement.measures
    if measures is not None:
        interval = f"{measures.auroc_low:.3f} to {measures.auroc_high:.3f}"
        parts = [f"AUROC {measures.auroc:.3f} ({interval})"]
    decisions, anomalies = judgement.decisions, judgement.anomalies
    if decisions is None:
        return "; ".join([*parts, "no threshold to decide by"])
    if anomalies:
        parts.append(f"{decisions.anomalies_found:,} of {anomalies:,} anomalies found")
    alarms = (
        f"{decisions.false_alarms:,} of {judgement.normals:,} good pictures called "
        "anomalous"
    )
    promised = judgement.promised_false_positive_rate
    if promised is not None:
        alarms += f" (promised {100 * promised:.3g} %)"
    return "; ".join([*parts, alarms])
