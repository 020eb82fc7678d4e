"""What a run or an evaluation comes to, in plain lines."""

from collections.abc import Mapping
from typing import Any


def lines(summary: Mapping[str, Any]) -> list[str]:
    """The result and its warnings, a line each."""
    warnings = [f"Warning: {warning}" for warning in summary.get("warnings", [])]
    return [line(summary), *warnings]


def line(summary: Mapping[str, Any]) -> str:
    """The result in plain words, from a summary.

    "AUROC 0.976 (0.960 to 0.989); 187 of 192 anomalies found; 3 of 60 good pictures
    called anomalous (promised 5 %)".
    """
    parts = ["No anomalous pictures to judge by"]
    if summary["auroc"] is not None:
        low, high = summary["auroc_low"], summary["auroc_high"]
        parts = [f"AUROC {summary['auroc']:.3f} ({low:.3f} to {high:.3f})"]
    if summary["threshold"] is None:
        return "; ".join([*parts, "no threshold to decide by"])
    normals, anomalies = summary["normals"], summary["anomalies"]
    if anomalies:
        parts.append(f"{summary['anomalies_found']:,} of {anomalies:,} anomalies found")
    alarms = (
        f"{summary['false_alarms']:,} of {normals:,} good pictures called anomalous"
    )
    promised = summary["promised_false_positive_rate"]
    if promised is not None:
        alarms += f" (promised {100 * promised:.3g} %)"
    return "; ".join([*parts, alarms])
