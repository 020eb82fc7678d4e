"""Keeps the results that count, and renders their tables.

    python experiments/results.py add RUN_FOLDER...   append to PAPER/results.jsonl
    python experiments/results.py render              rewrite the tables of READMEs

A table stands in `experiments/PAPER/README.md` between the two marker lines; what is
between them is never typed.
"""

import json
import pathlib
import sys
from typing import Any

HERE = pathlib.Path(__file__).parent
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
KEPT = (
    "method dataset protocol normal_class anomalous_class seed epochs auroc auroc_low "
    "auroc_high average_precision fpr_at_95_tpr equal_error_rate normals anomalies "
    "promised_false_positive_rate reached_false_positive_rate held_out_normals "
    "train_normals images_per_second train_seconds"
).split()


def add(folder: pathlib.Path) -> None:
    """Appends the result of a finished run, with what it depends on."""
    summary, config, environment = (
        json.loads((folder / name).read_text())
        for name in ("eval/summary.json", "config.json", "env.json")
    )
    if environment["commit"] is None or environment["commit"].endswith("+"):
        raise SystemExit(
            f"{folder}: the code that ran is no commit; run a committed one."
        )
    line = {name: summary[name] for name in KEPT if name in summary}
    line |= {"config": config, "environment": environment}
    with open(HERE / summary["method"] / "results.jsonl", "a") as file:
        file.write(json.dumps(line, sort_keys=True) + "\n")


def render(paper: pathlib.Path) -> None:
    """Rewrites the table in the README of one paper."""
    lines = (paper / "results.jsonl").read_text().splitlines()
    published = json.loads((paper / "paper.json").read_text())
    rows = [_row(json.loads(line), published) for line in lines]
    header = list(rows[0])
    table = [header, ["---"] * len(header), *(list(row.values()) for row in rows)]
    text = "\n".join("| " + " | ".join(row) + " |" for row in table)
    readme = paper / "README.md"
    before, rest = readme.read_text().split(BEGIN)
    _, after = rest.split(END)
    readme.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def _row(result: dict[str, Any], published: dict[str, Any]) -> dict[str, str]:
    target = "normal" if "normal_class" in result else "anomalous"
    name = result[f"{target}_class"]
    theirs = _published(result, name, published)
    environment = result["environment"]
    return {
        "data set": result["dataset"],
        "protocol": result["protocol"],
        "class": f"{name} {target}",
        "seed": str(result["seed"]),
        "epochs": str(result["epochs"]),
        "AUROC (95 % interval)": f"{result['auroc']:.3f} "
        f"({result['auroc_low']:.3f} to {result['auroc_high']:.3f})",
        "paper": "" if theirs is None else f"{theirs:.3f}",
        "difference": "" if theirs is None else f"{result['auroc'] - theirs:+.3f}",
        "normals / anomalies": f"{result['normals']:,} / {result['anomalies']:,}",
        "false positives: promised, reached": (
            f"{result['promised_false_positive_rate']:.1%}, "
            f"{result['reached_false_positive_rate']:.1%}"
        ),
        "training": f"{result['train_seconds'] / 60:.0f} min",
        "device": f"{environment['device']}, {environment['cores']} cores",
        "commit": environment["commit"],
    }


def _published(result, name: str, published) -> float | None:
    """The paper's number for the same data set, protocol and class, if any."""
    for table in published["auroc"]:
        if all(table[key] == result[key] for key in ("dataset", "protocol")):
            return table["classes"].get(name)
    return None


def main(arguments: list[str]) -> None:
    """Does what the command line says."""
    match arguments:
        case ["add", *folders] if folders:
            for folder in folders:
                add(pathlib.Path(folder))
        case ["render"]:
            for results in sorted(HERE.glob("*/results.jsonl")):
                render(results.parent)
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
