"""Keeps the results that count, and renders their tables.

    python experiments/results.py add FOLDER...   append runs to METHOD/results.jsonl
    python experiments/results.py render          rewrite the tables of the READMEs

FOLDER is a run folder or a folder of run folders. Tables stand between the two marker
lines of `experiments/METHOD/README.md`, `experiments/README.md`,
`experiments/other_data.md` and `docs/methods.md`; what is between them is never typed.
Published numbers are in `experiments/METHOD/paper.json`:

    "published": name -> tables, each with "table", "dataset", "protocol", and
        "classes" (class -> AUROC), or "mean" over classes, or both
    "variants": rows of the paper's ablation, each with "name", the "hyper" parameters
        in which it differs from the configuration file, and the name of what is
        "published" of it
"""

import csv
import functools
import importlib.util
import json
import pathlib
import statistics
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ocjax import data
from ocjax.evaluation import metrics
from ocjax.runs.config import RunConfig

HERE = pathlib.Path(__file__).parent
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
KEPT = (
    "method dataset protocol normal_class anomalous_class seed epochs auroc auroc_low "
    "auroc_high average_precision fpr_at_95_tpr equal_error_rate normals anomalies "
    "promised_false_positive_rate reached_false_positive_rate held_out_normals "
    "train_normals images_per_second train_seconds leaks kinds baselines note"
).split()
# What else than hyper-parameters makes another configuration.
COMPARED = (
    "epochs batch_size image_size split_seed validation_fraction precision augment "
    "standardize tile tile_overlap tile_reduction"
).split()
MOST_KINDS = 6  # Columns of a table.
MEAN = "mean"
CLASSES = {"coil100_17": 17, "sound_scenes": 6}  # Other data sets have ten.
# Data sets on which results are told apart by the kind of anomaly.
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


class Paper:
    """The folder of one method: what was published, and what we found."""

    def __init__(self, folder: pathlib.Path):
        """Reads `paper.json`, and `results.jsonl` where there is one."""
        found, self._folder = folder / "results.jsonl", folder
        paper = json.loads((folder / "paper.json").read_text())
        self.variants, self._published = paper["variants"], paper["published"]
        lines = found.read_text().splitlines() if found.exists() else []
        self.results = [json.loads(line) for line in lines]

    def configuration(self, result: Mapping) -> tuple[dict, list[str]]:
        """The variant that a result is nearest to, and in what else it differs."""
        config = result["config"]
        standard = _standard(self._folder, config["dataset"])
        ran = config["hyper"] | _settings(config)

        def others(variant):
            wanted = standard | variant["hyper"]
            return [f"{k}={v}" for k, v in ran.items() if v != wanted.get(k)]

        variant = min(self.variants, key=lambda variant: len(others(variant)))
        return variant, others(variant)

    def theirs(self, variant: Mapping, dataset, protocol, name) -> float | None:
        """The published AUROC of a class or of the mean, if any."""
        for table in self._published.get(variant.get("published"), []):
            if (table["dataset"], table["protocol"]) == (dataset, protocol):
                classes = table.get("classes", {})
                if name == MEAN and MEAN in table:
                    return table[MEAN]
                if name == MEAN and len(classes) == CLASSES.get(dataset, 10):
                    return statistics.mean(classes.values())
                return classes.get(name)
        return None

    def published(self, config: Mapping) -> dict[str, float]:
        """Class, or "mean", -> AUROC in the paper of what is nearest to `config`."""
        variant, _ = self.configuration({"config": config})
        names = self.reported().get((config["dataset"], config["protocol"]), [])
        where = (variant, config["dataset"], config["protocol"])
        found = {name: self.theirs(*where, name) for name in [*names, MEAN]}
        return {name: auroc for name, auroc in found.items() if auroc is not None}

    def ours(self, variant: Mapping, dataset, protocol, name) -> list[float]:
        """AUROCs of honest runs that differ in nothing else.

        There is one for each seed on each kind of device: these round otherwise, and
        adversarial training makes of that what it makes of another seed.
        """
        by_class = {}
        for result in self.results:
            same = (result["dataset"], result["protocol"]) == (dataset, protocol)
            if same and not leaks(result):
                if self.configuration(result) == (variant, []):
                    which = result["environment"]["device"], result["seed"]
                    by_class.setdefault(target(result), {})[which] = result["auroc"]
        if name != MEAN:
            return list(by_class.get(name, {}).values())
        if len(by_class) < CLASSES.get(dataset, 10):
            return []
        complete = set.intersection(*(set(runs) for runs in by_class.values()))
        return [
            statistics.mean(runs[which] for runs in by_class.values())
            for which in sorted(complete)
        ]

    def reported(self) -> dict[tuple[str, str], list[str]]:
        """Data set and protocol -> classes that the paper or we have numbers of."""
        found = {}
        for tables in self._published.values():
            for table in tables:
                names = found.setdefault((table["dataset"], table["protocol"]), {})
                names |= dict.fromkeys(table.get("classes", {}))
        for result in self.results:
            names = found.setdefault((result["dataset"], result["protocol"]), {})
            names |= {target(result): None}
        return {where: list(names) for where, names in found.items()}


@functools.cache
def _standard(folder: pathlib.Path, dataset: str) -> dict[str, Any]:
    """What the configuration file of a data set says."""
    path = folder / f"{dataset}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    config = module.get_config().to_dict()
    return config["hyper"] | {name: config[name] for name in COMPARED}


def _settings(config: Mapping) -> dict[str, Any]:
    """What is compared; runs from before there was a field did as its default does."""
    return {name: config.get(name, getattr(RunConfig, name)) for name in COMPARED}


def target(result: Mapping) -> str:
    """The class that a result is about."""
    return result[data.TARGET[result["protocol"]]]


def leaks(result: Mapping) -> list[str]:
    """What is not honest about a result."""
    return result.get("leaks", [])


def add(folder: pathlib.Path) -> None:
    """Appends the results of finished runs, each once, with what they depend on."""
    summaries = sorted(folder.rglob("eval/summary.json"))
    if not summaries:
        raise SystemExit(f"{folder}: no finished run is here.")
    for path in summaries:
        _add_run(path.parents[1])


def _add_run(folder: pathlib.Path) -> None:
    summary, known, environment = (
        json.loads((folder / name).read_text())
        for name in ("eval/summary.json", "run.json", "env.json")
    )
    config = known["config"] | {name: known[name] for name in ("seed", "data")}
    if environment["commit"] is None or environment["commit"].endswith("+"):
        raise SystemExit(
            f"{folder}: the code that ran is no commit; run a committed one."
        )
    if "kinds" not in summary:  # Runs from before they were told apart.
        summary["kinds"] = _kinds_of(folder / "eval" / "scores.csv")
    line = {name: summary[name] for name in KEPT if name in summary}
    line |= {"config": config, "environment": environment}
    text = json.dumps(line, sort_keys=True) + "\n"
    kept = _folder(summary) / "results.jsonl"
    if not kept.exists() or text not in kept.read_text():
        with open(kept, "a") as file:
            file.write(text)


def _kinds_of(scores: pathlib.Path) -> dict[str, dict]:
    with open(scores) as file:
        rows = list(csv.DictReader(file))
    anomalous = np.array([row["anomalous"] == "1" for row in rows])
    found = np.array([float(row["score"]) for row in rows])
    return metrics.by_kind(anomalous, found, [row["label"] for row in rows])


def _folder(summary: Mapping) -> pathlib.Path:
    """Where the results of a method are kept."""
    own = HERE / summary["method"]
    return own if own.is_dir() else HERE / "classical"


def render(folder: pathlib.Path) -> None:
    """Rewrites the tables in the README of one method."""
    paper = Paper(folder)
    honest = [result for result in paper.results if not leaks(result)]
    dishonest = [result for result in paper.results if leaks(result)]
    parts = [_markdown(_comparison(paper))]
    if honest:
        parts += ["Every run:", _markdown(_run(paper, result) for result in honest)]
    if dishonest:
        parts += [
            "Not honest, to show what a leak in published code is worth:",
            _markdown(
                {"leak": " ".join(leaks(result))} | _run(paper, result)
                for result in dishonest
            ),
        ]
    _replace(folder / "README.md", "\n\n".join(parts))


def render_all(root: pathlib.Path) -> None:
    """Rewrites all tables of a checkout."""
    experiments = root / "experiments"
    for paper in sorted(experiments.glob("*/paper.json")):
        render(paper.parent)
    render_overall(experiments, root / "docs" / "methods.md")
    render_kinds(experiments)


def render_overall(folder: pathlib.Path, *pages: pathlib.Path) -> None:
    """Rewrites the table of all methods in `folder / "README.md"` and in `pages`."""
    rows = []
    for path in sorted(folder.glob("*/paper.json")):
        paper, row = Paper(path.parent), {"method": path.parent.name}
        for title, (dataset, names) in OVERALL.items():
            for name in names:
                where = (paper.variants[0], dataset, "p2", name)
                cell = _cell(paper.ours(*where), paper.theirs(*where))
                row[f"{title}, {name}"] = cell or "–"
        rows.append(row)
    for page in (folder / "README.md", *pages):
        _replace(page, _markdown(rows))


def render_kinds(folder: pathlib.Path) -> None:
    """Rewrites the tables by kind of anomaly in `folder / "other_data.md"`."""
    results = [
        json.loads(line)
        for path in sorted(folder.glob("*/results.jsonl"))
        for line in path.read_text().splitlines()
    ]
    parts = []
    for dataset, title in BY_KIND.items():
        found = [r for r in results if r["dataset"] == dataset and not leaks(r)]
        if found:
            note = f"{found[0]['note']} " if found[0].get("note") else ""
            parts += [f"### {title}", f"{note}Protocol `{found[0]['protocol']}`."]
            parts.append(_markdown(_kinds(found)))
    _replace(folder / "other_data.md", "\n\n".join(parts) or "Nothing yet.")


def _kinds(results: list[dict]) -> Iterable[dict[str, str]]:
    """A row for each method and configuration: mean and deviation over its runs."""
    columns = sorted(set().union(*map(_by_kind, results)))
    columns = columns if len(columns) <= MOST_KINDS else []
    rows = {}
    for result in results:
        rows.setdefault(json.dumps(_told(result), sort_keys=True), []).append(result)
    told = [json.loads(key) for key in rows]
    for own, runs in zip(told, rows.values(), strict=True):
        name, epochs = own["method"], runs[0]["epochs"]
        like = [other for other in told if other["method"] == name]
        differ = [k for k in own if any(own[k] != other[k] for other in like)]
        differ = [k for k in differ if k not in ("epochs", "hyper")]
        name = ", ".join(
            [name, *[f"{epochs} epochs"] * bool(epochs)]
            + [f"{k}={own[k]}" for k in differ]
        )
        yield _of_kinds(name, runs, columns)
    # Scores that need no training are the same whatever ran.
    once = {(target(r), r["config"]["split_seed"], r["anomalies"]): r for r in results}
    for name in results[0].get("baselines", {}):
        found = [
            run | {"auroc_low": None} | run["baselines"][name] for run in once.values()
        ]
        yield _of_kinds(f"{name} alone", found, columns)


def _told(result: Mapping) -> dict[str, Any]:
    """What a run was told, but for what makes it a repetition of another."""
    settings = _settings(result["config"])
    del settings["split_seed"]
    own = {"method": result["method"], "protocol": result["protocol"]}
    return settings | own | {"hyper": result["config"]["hyper"]}


def _of_kinds(name: str, runs: list[dict], columns: list[str]) -> dict[str, str]:
    """A row: the AUROC of all anomalies, and of each kind that has a column."""
    first, classes = runs[0], {target(run) for run in runs}
    row = {
        "method": name,
        "runs": str(len(runs)),
        "normal": target(first) if len(classes) == 1 else f"{len(classes)} classes",
        "AUROC": _spread([run["auroc"] for run in runs]),
    }
    if len(runs) == 1 and first["auroc_low"] is not None:
        row["AUROC"] += f" ({first['auroc_low']:.3f} to {first['auroc_high']:.3f})"
    for kind in columns:
        found = [_by_kind(run)[kind] for run in runs if kind in _by_kind(run)]
        row[kind] = _spread(found) if found else "–"
    counts = {f"{run['normals']:,} / {run['anomalies']:,}" for run in runs}
    row["normals / anomalies"] = counts.pop() if len(counts) == 1 else "vary"
    return row


def _by_kind(run: Mapping) -> dict[str, float]:
    """AUROCs; of "rain+gun_shot" the event, as the scene is the normal class."""
    return {
        kind.rsplit("+")[-1]: found["auroc"] for kind, found in run["kinds"].items()
    }


def _spread(values: list[float]) -> str:
    text = f"{statistics.mean(values):.3f}"
    return text if len(values) == 1 else f"{text} ± {statistics.stdev(values):.3f}"


def _comparison(paper: Paper) -> Iterable[dict[str, str]]:
    for (dataset, protocol), names in paper.reported().items():
        for name in [*names, MEAN]:
            cells = {}
            for variant in paper.variants:
                where = (variant, dataset, protocol, name)
                cell = _cell(paper.ours(*where), paper.theirs(*where))
                cells[variant["name"]] = cell
            if any(cells.values()):
                what = name if name == MEAN else f"{name} {_role(protocol)}"
                yield {"data set": f"{dataset}, {protocol}", "class": what} | cells


def _cell(ours: list[float], theirs: float | None) -> str:
    if not ours and theirs is None:
        return ""
    text = f"{statistics.mean(ours):.3f}" if ours else "–"
    if len(ours) > 1:
        text += f" ± {statistics.stdev(ours):.3f} ({len(ours)})"
    return f"{text} / {'–' if theirs is None else f'{theirs:.3f}'}"


def _run(paper: Paper, result: Mapping) -> dict[str, str]:
    variant, others = paper.configuration(result)
    name, environment = target(result), result["environment"]
    theirs = paper.theirs(variant, result["dataset"], result["protocol"], name)
    return {
        "data set": result["dataset"],
        "protocol": result["protocol"],
        "class": f"{name} {_role(result['protocol'])}",
        "configuration": ", ".join([variant["name"], *others]),
        "seed": str(result["seed"]),
        "epochs": str(result["epochs"]),
        "AUROC (95 % interval)": f"{result['auroc']:.3f} "
        f"({result['auroc_low']:.3f} to {result['auroc_high']:.3f})",
        "hardest kind": _hardest(result),
        "paper": "" if theirs is None else f"{theirs:.3f}",
        "difference": "" if theirs is None else f"{result['auroc'] - theirs:+.3f}",
        "normals / anomalies": f"{result['normals']:,} / {result['anomalies']:,}",
        "false positives: promised, reached": _rates(result),
        "training": f"{result['train_seconds'] / 60:.0f} min",
        "device": f"{environment['device']}, {environment['cores']} cores",
        "commit": environment["commit"],
    }


def _rates(result: Mapping) -> str:
    """The two false-positive rates; none where too few normals were held out."""
    if result["reached_false_positive_rate"] is None:
        return "none"
    promised = result["promised_false_positive_rate"]
    return f"{promised:.1%}, {result['reached_false_positive_rate']:.1%}"


def _hardest(result: Mapping) -> str:
    """The kind of anomaly that is told from normal images worst, where there are many.

    Below 0.5 its images look more normal than the normal ones.
    """
    kinds = {k: found["auroc"] for k, found in result.get("kinds", {}).items()}
    if len(kinds) < 2:
        return ""
    worst = min(kinds, key=kinds.__getitem__)
    return f"{worst}: {kinds[worst]:.3f}"


def _role(protocol: str) -> str:
    """Whether the class of a protocol is "normal" or "anomalous"."""
    return data.TARGET[protocol].removesuffix("_class")


def _markdown(rows: Iterable[Mapping[str, str]]) -> str:
    rows = list(rows)
    if not rows:
        return "Nothing is published or measured yet."
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(row.values() for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _replace(readme: pathlib.Path, text: str) -> None:
    before, begin, rest = readme.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{readme}: the lines {BEGIN} and {END} are missing.")
    readme.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")


def main(arguments: list[str]) -> None:
    """Does what the command line says."""
    match arguments:
        case ["add", *folders] if folders:
            for folder in folders:
                add(pathlib.Path(folder))
        case ["render"]:
            render_all(HERE.parent)
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
