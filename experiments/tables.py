"""Rewrites all tables of results.

    python experiments/tables.py

Tables stand between the two marker lines of `experiments/METHOD/README.md`,
`experiments/README.md`, `experiments/other_data.md` and `docs/methods.md`; what is
between them is never typed. They are made from the lines that `keep.py` keeps and from
the published numbers of `paper.py`.
"""

import dataclasses
import json
import pathlib
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from keep import Result
from paper import CLASSES, MEAN, Paper, compared, read_results

from ocjax import _markdown, data
from ocjax.evaluation.metrics import Kind
from ocjax.methods import METHODS
from ocjax.runs import configure
from ocjax.runs.summary import Baseline

ROOT = pathlib.Path(__file__).parents[1]
MARKS = "<!-- {}: begin -->", "<!-- {}: end -->"
MOST_KINDS = 6  # Largest number of kinds that have columns.
# Titles of data sets whose results are divided by the kind of anomaly.
BY_KIND = {
    "stop_signs": "Stop signs under attack",
    "magnetic_tile": "Magnetic tiles",
    "sound_scenes": "Sounds in six scenes",
    "coil100_17": "Seventeen objects of COIL-100",
}
OVERALL = {
    "MNIST": ("mnist", ("8", "4")),
    "Fashion-MNIST": ("fashion_mnist", ("Sandal", "Shirt")),
    "CIFAR-10": ("cifar10", ("airplane", "frog")),
}


def render_all(root: pathlib.Path) -> None:
    """Rewrites all tables of a checkout."""
    experiments = root / "experiments"
    yardsticks = Yardsticks(experiments)
    for path in sorted(experiments.glob("*/paper.json")):
        render(path.parent, yardsticks)
    render_overall(experiments, yardsticks, root / "docs" / "methods.md")
    render_classical(experiments / "classical")
    render_kinds(experiments)


class Yardsticks:
    """AUROCs of the simple scores that runs of any method have judged beside theirs.

    They depend on the division of the data alone, so all methods share them.
    """

    NAMES = "mean image", "pca", "pca 16", "knn", "lof"

    def __init__(self, folder: pathlib.Path):
        """Reads the results of all methods."""
        self._aurocs: dict[tuple[str, str], dict[str, dict[str, list[float]]]] = {}
        standard = _seen(configure(method="autoencoder").to_dict())
        for path in sorted(folder.glob("*/results.jsonl")):
            for result in read_results(path):
                if not result.leaks and _seen(result.config) == standard:
                    self._add(result)

    def _add(self, result: Result) -> None:
        identity = result.identity
        classes = self._aurocs.setdefault((identity.dataset, identity.protocol), {})
        scores = classes.setdefault(identity.target_class, {})
        for name, judged in result.baselines.items():
            scores.setdefault(name, []).append(judged.auroc)

    def auroc(self, score: str, dataset: str, protocol: str, name: str) -> float | None:
        """AUROC of a class, or of the mean if all classes were judged; None if not."""
        classes = self._aurocs.get((dataset, protocol), {})
        judged = {c: scores[score] for c, scores in classes.items() if score in scores}
        if name != MEAN:
            return statistics.mean(judged[name]) if name in judged else None
        return _mean_of_all(judged, dataset)

    def cell(self, score: str, dataset: str, protocol: str, name: str) -> str:
        """Cell of a score, in a row or column of a class or of the mean."""
        auroc = self.auroc(score, dataset, protocol, name)
        return "–" if auroc is None else f"{auroc:.3f}"


def _seen(config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that decide which pictures simple scores see, and how large."""
    names = "image_size", "fit", "split_seed", "validation_fraction", "standardize"
    settings = compared(config)
    return {name: settings[name] for name in names}


def _mean_of_all(aurocs: Mapping[str, Sequence[float]], dataset: str) -> float | None:
    """Mean over the classes of a data set; None where one did not run."""
    if len(aurocs) < CLASSES.get(dataset, 10):
        return None
    return statistics.mean(map(statistics.mean, aurocs.values()))


def render(folder: pathlib.Path, yardsticks: Yardsticks) -> None:
    """Rewrites the tables in the README of one method."""
    paper = Paper(folder)
    honest = [result for result in paper.results if not result.leaks]
    dishonest = [result for result in paper.results if result.leaks]
    parts = [markdown_of(_comparison(paper, yardsticks))]
    if honest:
        parts += ["Every run:", markdown_of(_run(paper, result) for result in honest)]
    if any(result.measures for result in honest):
        title = "What each measure tells apart by itself, AUROC on the same pictures:"
        parts += [title, markdown_of(_measures(paper, honest))]
    if dishonest:
        rows = (
            {"leak": " ".join(result.leaks)} | _run(paper, result)
            for result in dishonest
        )
        title = "Not honest, to show what a leak in published code is worth:"
        parts += [title, markdown_of(rows)]
    for printed in paper.printed:
        header, *rows = printed["rows"]
        table = _markdown.table(header, rows)
        parts += [f"As published, {printed['title']}:", table]
    replace(folder / "README.md", "\n\n".join(parts))


def render_overall(
    folder: pathlib.Path, yardsticks: Yardsticks, *pages: pathlib.Path
) -> None:
    """Rewrites the table of all methods in `folder / "README.md"` and in `pages`."""
    rows = []
    for path in sorted(folder.glob("*/paper.json")):
        paper, row = Paper(path.parent), {"method": path.parent.name}
        for title, (dataset, names) in OVERALL.items():
            for name in names:
                entry = (paper.variants[0], dataset, "p2", name)
                cell = _cell(paper.ours(*entry), paper.theirs(*entry))
                row[f"{title}, {name}"] = cell or "–"
        rows.append(row)
    results = _of_defaults(read_results(folder / "classical" / "results.jsonl"))
    for method in dict.fromkeys(result.identity.method for result in results):
        row = {"method": method}
        for title, (dataset, names) in OVERALL.items():
            for name in names:
                aurocs = _aurocs(results, method, dataset)
                row[f"{title}, {name}"] = _cell(aurocs.get(name, []), None) or "–"
        rows.append(row)
    for score in Yardsticks.NAMES:
        row = {"method": f"yardstick: {score}"}
        for title, (dataset, names) in OVERALL.items():
            for name in names:
                cell = yardsticks.cell(score, dataset, "p2", name)
                row[f"{title}, {name}"] = cell
        rows.append(row)
    for page in (folder / "README.md", *pages):
        replace(page, markdown_of(rows))


def render_classical(folder: pathlib.Path) -> None:
    """Rewrites the tables of classical detectors in `folder / "README.md"`."""
    results = _of_defaults(read_results(folder / "results.jsonl"))
    parts = []
    for title, (dataset, _) in OVERALL.items():
        methods = dict.fromkeys(result.identity.method for result in results)
        by_method = {method: _aurocs(results, method, dataset) for method in methods}
        by_method = {method: aurocs for method, aurocs in by_method.items() if aurocs}
        if by_method:
            names = sorted(set().union(*by_method.values()) - {MEAN})
            rows = (
                {"method": method}
                | {name: _spread(aurocs[name]) for name in [*names, MEAN]}
                for method, aurocs in by_method.items()
                if len(aurocs) == len(names) + 1
            )
            parts += [f"### {title}, p2", markdown_of(rows)]
    replace(folder / "README.md", "\n\n".join(parts) or "Nothing yet.")


def _of_defaults(results: list[Result]) -> list[Result]:
    """Honest runs of methods as they are by default, under protocol p2."""

    def is_default(result: Result) -> bool:
        config, _ = METHODS[result.identity.method]
        standard = compared(configure(method=result.identity.method).to_dict())
        return (
            result.identity.protocol == "p2"
            and not result.leaks
            and result.config["hyper"] == dataclasses.asdict(config())
            and compared(result.config) == standard
        )

    return [result for result in results if is_default(result)]


def _aurocs(results: list[Result], method: str, dataset: str) -> dict[str, list[float]]:
    """AUROCs of runs by class, and of the mean over all ten classes if all ran."""
    aurocs: dict[str, list[float]] = {}
    for result in results:
        identity = result.identity
        if (identity.method, identity.dataset) == (method, dataset):
            aurocs.setdefault(identity.target_class, []).append(result.auroc)
    mean = _mean_of_all(aurocs, dataset)
    return aurocs if mean is None else aurocs | {MEAN: [mean]}


def render_kinds(folder: pathlib.Path) -> None:
    """Rewrites the tables by kind of anomaly in `folder / "other_data.md"`."""
    paths = sorted(folder.glob("*/results.jsonl"))
    honest = [r for path in paths for r in read_results(path) if not r.leaks]
    parts = []
    for dataset, title in BY_KIND.items():
        results = [r for r in honest if r.identity.dataset == dataset]
        if results:
            first = results[0]
            note = f"{first.note} " if first.note else ""
            protocol = first.identity.protocol
            parts += [f"### {title}", f"{note}Protocol `{protocol}`."]
            parts.append(markdown_of(_kinds(results)))
    replace(folder / "other_data.md", "\n\n".join(parts) or "Nothing yet.")


def _comparison(paper: Paper, yardsticks: Yardsticks) -> Iterable[dict[str, str]]:
    """A row for each class: ours and the paper's, of every variant, and yardsticks."""
    for (dataset, protocol), names in paper.reported().items():
        for name in [*names, MEAN]:
            cells = {}
            for variant in paper.variants:
                entry = (variant, dataset, protocol, name)
                cell = _cell(paper.ours(*entry), paper.theirs(*entry))
                cells[variant["name"]] = cell
            if any(cells.values()):
                title = name if name == MEAN else f"{name} {_role(protocol)}"
                row = {"data set": f"{dataset}, {protocol}", "class": title}
                simple = {
                    score: yardsticks.cell(score, dataset, protocol, name)
                    for score in Yardsticks.NAMES
                }
                yield row | cells | simple


def _cell(ours: list[float], theirs: float | None) -> str:
    if not ours and theirs is None:
        return ""
    text = _spread(ours) if ours else "–"
    if len(ours) > 1:
        text += f" ({len(ours)})"
    return f"{text} / {'–' if theirs is None else f'{theirs:.3f}'}"


def _run(paper: Paper, result: Result) -> dict[str, str]:
    """A row of one run."""
    variant, differences = paper.configuration(result.config)
    identity, environment = result.identity, result.environment
    dataset, protocol = identity.dataset, identity.protocol
    theirs = paper.theirs(variant, dataset, protocol, identity.target_class)
    return {
        "data set": dataset,
        "protocol": protocol,
        "class": f"{identity.target_class} {_role(protocol)}",
        "configuration": ", ".join([variant["name"], *differences]),
        "seed": str(identity.seed),
        "length": result.length,
        "AUROC (95 % interval)": f"{result.auroc:.3f} {_interval(result)}",
        "hardest kind": _hardest(result),
        "paper": "" if theirs is None else f"{theirs:.3f}",
        "difference": "" if theirs is None else f"{result.auroc - theirs:+.3f}",
        "normals / anomalies": f"{result.normals:,} / {result.anomalies:,}",
        "false positives: promised, reached": _rates(result),
        "training": f"{result.train_seconds / 60:.0f} min",
        "device": f"{environment['device']}, {environment['cores']} cores",
        "commit": environment["commit"],
    }


def _measures(paper: Paper, results: list[Result]) -> Iterable[dict[str, str]]:
    """A row for each class and configuration: means over runs of every measure."""
    rows: dict[tuple[str, ...], list[Result]] = {}
    for result in results:
        variant, differences = paper.configuration(result.config)
        identity = result.identity
        if result.measures:
            title = ", ".join([variant["name"], *differences])
            key = identity.dataset, identity.protocol, title, identity.target_class
            rows.setdefault(key, []).append(result)
    names = list(dict.fromkeys(n for runs in rows.values() for n in runs[0].measures))
    for (dataset, protocol, title, target), runs in sorted(rows.items()):
        row = {
            "data set": f"{dataset}, {protocol}",
            "configuration": title,
            "class": f"{target} {_role(protocol)}",
            "runs": str(len(runs)),
        }
        for name in names:
            aurocs = [r.measures[name] for r in runs if name in r.measures]
            row[name] = _spread(aurocs) if aurocs else "–"
        yield row


def _interval(result: Result) -> str:
    return f"({result.auroc_low:.3f} to {result.auroc_high:.3f})"


def _rates(result: Result) -> str:
    """Promised and reached false-positive rate; "none" if too few were held out."""
    promised = result.promised_false_positive_rate
    reached = result.reached_false_positive_rate
    return "none" if None in (promised, reached) else f"{promised:.1%}, {reached:.1%}"


def _hardest(result: Result) -> str:
    """Kind of anomaly with the lowest AUROC, where there are several.

    Below 0.5 its images look more normal than the normal ones.
    """
    kinds = {name: kind.auroc for name, kind in result.kinds.items()}
    if len(kinds) < 2:
        return ""
    worst = min(kinds, key=kinds.__getitem__)
    return f"{worst}: {kinds[worst]:.3f}"


def _role(protocol: str) -> str:
    """Role of the class that a protocol names: "normal" or "anomalous"."""
    return data.TARGET[protocol].removesuffix("_class")


def _kinds(results: list[Result]) -> Iterable[dict[str, str]]:
    """A row for each method and configuration: mean and deviation over its runs."""
    columns = sorted(set().union(*(_by_kind(result.kinds) for result in results)))
    columns = columns if len(columns) <= MOST_KINDS else []
    rows: dict[str, list[Result]] = {}
    for result in results:
        key = json.dumps(_configuration(result), sort_keys=True)
        rows.setdefault(key, []).append(result)
    configurations = [json.loads(key) for key in rows]
    for configuration, runs in zip(configurations, rows.values(), strict=True):
        title = [configuration["method"]]
        if length := runs[0].length:
            title.append(length)
        title += _distinctions(configuration, configurations)
        row = _kinds_row(", ".join(title), runs, runs, columns)
        if len(runs) == 1:
            row["AUROC"] += f" {_interval(runs[0])}"
        yield row
    # Scores that need no training depend on the division of the data alone.
    divisions = {
        (r.identity.target_class, r.config["split_seed"], r.anomalies): r
        for r in results
    }
    runs = list(divisions.values())
    for name in results[0].baselines:
        scores = [run.baselines[name] for run in runs]
        yield _kinds_row(f"{name} alone", runs, scores, columns)


def _configuration(result: Result) -> dict[str, Any]:
    """Settings of a run, without those in which repetitions differ."""
    settings, identity = compared(result.config), result.identity
    del settings["split_seed"]
    names = {"method": identity.method, "protocol": identity.protocol}
    return settings | names | {"hyper": result.config["hyper"]}


def _distinctions(configuration: dict, configurations: list[dict]) -> list[str]:
    """Settings in which configurations of one method are not alike, as "a=b"."""
    flat = lambda settings: settings | settings["hyper"]
    method = configuration["method"]
    others = [flat(other) for other in configurations if other["method"] == method]
    return [
        f"{name}={value}"
        for name, value in flat(configuration).items()
        if name not in ("epochs", "steps", "hyper")
        # Runs that are older than a setting are not told apart by it.
        and any(value != other.get(name, value) for other in others)
    ]


def _kinds_row(
    name: str,
    runs: list[Result],
    scores: Sequence[Result | Baseline],
    columns: list[str],
) -> dict[str, str]:
    """A row with the AUROC of all anomalies, and of each kind that has a column.

    Args:
      name: name of the row.
      runs: runs that judged the scores.
      scores: judgements of the scores, one of each run.
      columns: names of the kinds that have columns.
    """
    classes = {run.identity.target_class for run in runs}
    row = {
        "method": name,
        "runs": str(len(runs)),
        "normal": classes.pop() if len(classes) == 1 else f"{len(classes)} classes",
        "AUROC": _spread([score.auroc for score in scores]),
    }
    by_kind = [_by_kind(score.kinds) for score in scores]
    for kind in columns:
        aurocs = [kinds[kind] for kinds in by_kind if kind in kinds]
        row[kind] = _spread(aurocs) if aurocs else "–"
    counts = {f"{run.normals:,} / {run.anomalies:,}" for run in runs}
    row["normals / anomalies"] = counts.pop() if len(counts) == 1 else "vary"
    return row


def _by_kind(kinds: Mapping[str, Kind]) -> dict[str, float]:
    """AUROCs by kind, "rain+gun_shot" by its event: the scene is the normal class."""
    return {name.rsplit("+")[-1]: kind.auroc for name, kind in kinds.items()}


def _spread(values: list[float]) -> str:
    text = f"{statistics.mean(values):.3f}"
    return text if len(values) == 1 else f"{text} ± {statistics.stdev(values):.3f}"


def markdown_of(rows: Iterable[Mapping[str, str]]) -> str:
    """Table of rows with equal keys, which are the header."""
    rows = list(rows)
    if not rows:
        return "Nothing is published or measured yet."
    return _markdown.table(list(rows[0]), [row.values() for row in rows])


def replace(page: pathlib.Path, text: str, name: str = "results") -> None:
    """Rewrites what stands between the marker lines of a page that have a name."""
    begin, end = (mark.format(name) for mark in MARKS)
    try:
        page.write_text(_markdown.replaced(page.read_text(), begin, end, text))
    except ValueError as error:
        raise SystemExit(f"{page}: {error}") from None


def main(arguments: list[str]) -> None:
    """Rewrites the tables of this checkout."""
    if arguments:
        raise SystemExit(__doc__)
    render_all(ROOT)


if __name__ == "__main__":
    main(sys.argv[1:])
