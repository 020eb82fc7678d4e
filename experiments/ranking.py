"""How well synthetic anomalies rank methods as real ones do.

    python experiments/ranking.py [FOLDER...]

keeps what `ocjax compare` wrote into each FOLDER as a line of `ranking.jsonl` beside it
and rewrites `ranking.md` from all lines: over the methods of each, the rank correlation
(Spearman) of the AUROC on held-out normals against the same ones spoiled, for which no
label is needed, with the AUROC on the anomalies of the test part.
"""

import json
import math
import pathlib
import statistics
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from keep import environment_of
from scipy import stats
from tables import ROOT, markdown_of, replace

from ocjax._checks import InputError
from ocjax.runs.folder import RunFolder

MEAN = "mean of all"
Line = Mapping[str, Any]


def kept(folder: pathlib.Path) -> Line:
    """A comparison as a line: its data, its commit, and what each method came to.

    Raises:
      SystemExit: there is no comparison in the folder, or its code was no commit.
    """
    file = folder / "comparison.json"
    if not file.exists():
        raise SystemExit(f"{folder}: no comparison is here; run `ocjax compare`.")
    rows = [row for row in json.loads(file.read_text()) if not row["failed"]]
    runs = [RunFolder(folder / row["method"]) for row in rows]
    try:
        commits = {environment_of(run)["commit"] for run in runs}
    except InputError as error:
        raise SystemExit(f"{folder}: {error}") from None
    if len(commits) != 1:
        raise SystemExit(f"{folder}: the code that ran is not one commit.")
    summary = runs[0].result()
    assert summary is not None  # A row is of a finished run.
    identity = summary.identity
    return {
        "dataset": identity.dataset,
        "protocol": identity.protocol,
        "class": identity.target_class,
        "seed": identity.seed,
        "commit": commits.pop(),
        "methods": {row["method"]: [row["auroc"], row["kinds"]] for row in rows},
    }


def correlation(line: Line, kind: str) -> float:
    """Rank correlation of a kind, or of their mean, with the AUROC; NaN if none."""
    aurocs, seen = zip(*_pairs(line, kind).values(), strict=True)
    if len(aurocs) < 3 or len(set(aurocs)) < 2 or len(set(seen)) < 2:
        return math.nan
    result: Any = stats.spearmanr(aurocs, seen)
    return float(result.statistic)


def _pairs(line: Line, kind: str) -> dict[str, tuple[float, float]]:
    """Method -> AUROC of real anomalies, and of a kind of synthetic ones."""
    pairs = {}
    for method, (auroc, kinds) in line["methods"].items():
        value = statistics.mean(kinds.values()) if kind == MEAN else kinds[kind]
        pairs[method] = auroc, value
    return pairs


def table(lines: Iterable[Line]) -> str:
    """Table in Markdown: a row of each comparison, and the mean correlations."""
    lines, rows = list(lines), []
    kinds = [MEAN, *next(iter(lines[0]["methods"].values()))[1]]
    for line in lines:
        pairs = _pairs(line, MEAN)
        chosen = max(pairs, key=lambda method: pairs[method][1])
        best = max(pairs, key=lambda method: pairs[method][0])
        row = {
            "data": f"{line['dataset']}, {line['class']}",
            "methods": str(len(pairs)),
        }
        row |= {kind: f"{correlation(line, kind):+.2f}" for kind in kinds}
        row |= {"chosen by the mean": f"{chosen}, {pairs[chosen][0]:.3f}"}
        rows.append(row | {"best": f"{best}, {pairs[best][0]:.3f}"})
    mean = lambda kind: statistics.mean(correlation(line, kind) for line in lines)
    means = {kind: f"{mean(kind):+.2f}" for kind in kinds}
    total = {"data": "mean", "methods": ""} | means
    return markdown_of([*rows, total | {"chosen by the mean": "", "best": ""}])


def main(arguments: list[str]) -> None:
    """Keeps comparisons and rewrites the page."""
    if any(argument.startswith("-") for argument in arguments):
        raise SystemExit(__doc__)
    folder = ROOT / "experiments"
    file = folder / "ranking.jsonl"
    texts = file.read_text().splitlines() if file.exists() else []
    for argument in arguments:
        text = json.dumps(kept(pathlib.Path(argument)), sort_keys=True)
        texts += [text] * (text not in texts)
    file.write_text("".join(f"{text}\n" for text in texts))
    render(folder)


def render(folder: pathlib.Path) -> None:
    """Rewrites the page of a folder from its lines."""
    lines = [json.loads(t) for t in (folder / "ranking.jsonl").read_text().splitlines()]
    replace(folder / "ranking.md", table(lines) if lines else "Nothing yet.")


if __name__ == "__main__":
    main(sys.argv[1:])
