"""Many runs: every class, several seeds, and the table of them."""

import contextlib
import dataclasses
import hashlib
import json
import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ocjax import _files, _markdown, data
from ocjax._checks import InputError
from ocjax.data import files
from ocjax.evaluation import plots
from ocjax.runs import conclusion
from ocjax.runs import task as tasks
from ocjax.runs.build import check_sizes
from ocjax.runs.changes import varied
from ocjax.runs.config import RunConfig, check, parse
from ocjax.runs.display import say
from ocjax.runs.folder import RunFolder
from ocjax.runs.summary import Summary
from ocjax.runs.task import Task
from ocjax.runs.train import Result, run, run_all
from ocjax.training import processes

MEAN = "mean"
ALL, RANDOM = "all", "random"  # Values in place of a class.

# AUROCs in the paper by class, or "mean", for a configuration.
Published = Callable[[Mapping[str, Any]], Mapping[str, float]]


def launch(
    values: Mapping[str, Any],
    *,
    seed: int = 0,
    workdir: str | os.PathLike | None = None,
    data_dir: str | os.PathLike | None = None,
    dataset: data.Dataset | None = None,
    command: str = "",
    started: float | None = None,
    published: Published | None = None,
    profile_steps: int = 0,
) -> "Summary | TableSummary | None":
    """Runs a configuration: one run, or all classes and seeds.

    Args:
      values: values from `configure`; `normal_class` (or `anomalous_class`) may be
        "all" or "random", `seeds` more than 1, and hyper-parameters may `vary`.
      seed: seed of the first run.
      workdir: run folder, of many runs the folder of their folders; by default one
        below `runs/` that is named by the configuration.
      data_dir: folder of data sets.
      dataset: data, where they are loaded already.
      command: command that reproduces the runs, for the reports.
      started: `time.monotonic()` when the process started.
      profile_steps: number of steps of the first run to trace into its folder.
      published: function of a configuration that gives the AUROCs of its paper.

    Returns:
      The summary of the run, or of the table; None in processes that do not write.

    Raises:
      InputError: the configuration, the data or a folder cannot be used.
    """
    options: dict[str, Any] = {
        "command": command,
        "started": started,
        "profile_steps": profile_steps,
    }
    todo, choices = tasks_of(values, seed, data_dir, dataset)
    first = next(iter(todo.values()))
    workdir = _files.local(workdir or _default_workdir(values, seed, todo), "--workdir")
    if len(todo) == 1:
        summary = run(first, workdir, **options)
        if summary is not None:
            for line in conclusion.lines(summary):
                say(line)
        return summary
    if not first.split.anomalous.any():
        raise InputError(
            "A table of many runs compares AUROCs, which needs anomalous test images: "
            f"{first.dataset.name} has none. Train one run."
        )
    folder = RunFolder(workdir)
    if processes.primary():
        runs = {name: task.known().to_json() for name, task in todo.items()}
        folder.open({"runs": runs})
    repeated = values[data.TARGET[first.config.protocol]] == RANDOM
    with contextlib.closing(folder):
        paths = [workdir / name for name in todo]
        results = run_all(list(todo.values()), paths, **options)
        if not processes.primary():
            return None
        table = Table(list(todo.values()), results, choices, published, repeated)
        table.write(folder)
    say(table.markdown())
    doubtful = [
        path.name
        for path, result in zip(paths, results, strict=True)
        if isinstance(result, Summary) and result.warnings
    ]
    if doubtful:
        say(
            f"Warning: {len(doubtful)} of {len(paths)} runs have warnings, which their "
            f"reports tell: {files.listed(doubtful)}."
        )
    return table.summary(str(workdir))


def tasks_of(
    values: Mapping[str, Any],
    seed: int,
    data_dir: str | os.PathLike | None,
    dataset: data.Dataset | None = None,
) -> tuple[dict[str, Task], list[dict]]:
    """Runs by name, and the hyper-parameters that vary; arguments as of `launch`."""
    settings = parse(values)
    check_sizes(settings.config, settings.hyper)  # Before pictures are read.
    choices = varied(settings.config, settings.hyper)
    dataset = dataset or tasks.dataset_of(settings.config, data_dir)
    fingerprint = data.fingerprint(dataset)
    todo = {}
    for changes_by_seed in _classes(settings.config, dataset, seed):
        for choice in choices:
            hyper = dataclasses.replace(settings.hyper, **choice)
            for one_seed, changes in changes_by_seed.items():
                config = dataclasses.replace(settings.config, **changes)
                one = check(settings._replace(config=config, hyper=hyper))
                task = tasks.of_dataset(one, one_seed, dataset, fingerprint)
                parts = [_class_name(task), f"seed{one_seed}"]
                parts += [f"{name}={value}" for name, value in choice.items()]
                path = "-".join(parts)
                if path in todo:  # Punctuation alone may tell two classes apart.
                    path = f"{task.target}-{path}"
                todo[path] = task
    return todo, choices


def _classes(config: RunConfig, dataset: data.Dataset, seed: int) -> list[dict]:
    """Changes of runs by seed, for each class or for classes drawn at random."""
    field = data.TARGET[config.protocol]
    chosen, seeds = getattr(config, field), range(seed, seed + config.seeds)
    choices = np.arange(len(dataset.class_names))
    if field == "normal_class":
        choices = data.trainable(dataset)
    name = lambda label: dataset.class_names[label]
    if chosen == RANDOM:
        # Each repetition has another class and another split.
        drawn = {s: name(np.random.default_rng(s).choice(choices)) for s in seeds}
        split = {s: config.split_seed + s for s in seeds}
        return [{s: {field: drawn[s], "split_seed": split[s]} for s in seeds}]
    classes = [name(label) for label in choices] if chosen == ALL else [chosen]
    return [{s: {field: one} for s in seeds} for one in classes]


def _default_workdir(values, seed, todo: Mapping[str, Task]) -> str:
    """Folder whose name no other configuration has."""
    runs = list(todo.values())
    config = runs[0].config
    identity = json.dumps([task.known().to_json() for task in runs], sort_keys=True)
    digest = hashlib.sha256(identity.encode()).hexdigest()[:6]
    classes = "all" if len(runs) > 1 else _class_name(runs[0])
    dataset = config.dataset.replace("/", "_")
    parts = [config.method, dataset, config.protocol, classes, f"seed{seed}"]
    return os.path.join("runs", "-".join([*parts, digest]))


def _class_name(task: Task) -> str:
    name = task.dataset.class_names[task.target]
    return "".join(c if c.isalnum() else "_" for c in name)


class Row(NamedTuple):
    """A line of a table: a class, or the mean over all of them or random ones."""

    choice: dict[str, Any]  # Hyper-parameters that vary, by name.
    name: str
    values: list[float]  # AUROCs, one for each seed that did not diverge.
    diverged: int
    published: float | None

    @property
    def mean(self) -> float | None:
        """Mean AUROC; None where all diverged."""
        return statistics.mean(self.values) if self.values else None

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation; None for a single value."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


@dataclasses.dataclass(frozen=True)
class Mean:
    """The mean over all classes.

    Attributes:
      choice: hyper-parameters that vary, by name.
      auroc: mean of the AUROCs, in [0, 1]; None where no seed has all classes.
      deviation: sample standard deviation over seeds; None of a single one.
      synthetic: mean over all runs of what the choice is made by, an AUROC on synthetic
        anomalies; None where none is made, or a run diverged.
    """

    choice: dict[str, Any]
    auroc: float | None
    deviation: float | None
    synthetic: float | None


@dataclasses.dataclass(frozen=True)
class TableSummary:
    """Summary of many runs.

    Attributes:
      method: name of the method.
      dataset: name of the data set.
      protocol: name of the protocol.
      epochs: number of passes over the training images; 0 where steps count.
      steps: number of steps of training; 0 where epochs count.
      classes: number of classes.
      seeds: number of runs of each class and choice.
      diverged: number of runs that ended in a loss that is not finite.
      means: one for each choice of hyper-parameters, or one alone.
      chosen: hyper-parameters with the highest `synthetic`; None where no choice is
        made.
      workdir: path of the folder of the run folders.
    """

    method: str
    dataset: str
    protocol: str
    epochs: int
    steps: int
    classes: int
    seeds: int
    diverged: int
    means: tuple[Mean, ...]
    chosen: dict[str, Any] | None
    workdir: str

    def to_json(self) -> dict[str, Any]:
        """Returns one object; choices are a list where there are several."""
        values = dataclasses.asdict(self)
        del values["means"]
        if self.chosen is None:
            del values["chosen"]
        if len(self.means) == 1:
            mean = self.means[0]
            return values | {
                "auroc_mean": mean.auroc,
                "auroc_deviation": mean.deviation,
            }
        choices = [
            {**mean.choice, "auroc_mean": mean.auroc}
            | ({} if mean.synthetic is None else {"synthetic_mean": mean.synthetic})
            for mean in self.means
        ]
        return values | {"choices": choices}


class Table:
    """AUROCs of many runs, by class and by what varies, beside the paper's."""

    def __init__(
        self,
        todo: Sequence[Task],
        results: Sequence[Result | None],
        choices: Sequence[Mapping[str, Any]],
        published: Published | None = None,
        repeated: bool = False,
    ):
        """Groups the results.

        Args:
          todo: runs of the table.
          results: summary of each run, or the error that ended it.
          choices: values of the hyper-parameters that vary.
          published: function of AUROCs in papers, as of `launch`.
          repeated: whether each seed is a repetition with a class of its own, so that
            there is one row, over all of them.
        """
        self._first, self._results = todo[0], results
        self._signs: list[float | None] = []  # Of each choice.
        self._field = data.TARGET[todo[0].config.protocol]
        self.rows, self._choices = [], choices
        self._classes = len({task.target for task in todo})
        for choice in choices:
            by_class: dict[str, dict[int, float | None]] = {}
            paper: Mapping[str, float] = {}
            for task, result in zip(todo, results, strict=True):
                if all(getattr(task.hyper, k) == v for k, v in choice.items()):
                    auroc = result.auroc if isinstance(result, Summary) else None
                    name = task.dataset.class_names[task.target]
                    if published and not by_class:
                        paper = published(task.known().flat())
                    by_class.setdefault(name, {})[task.seed] = auroc
            if repeated:
                overall = [value for s in by_class.values() for value in s.values()]
                by_class = {}
            else:
                # A seed that a class lacks has no mean over the same classes.
                overall = [
                    None if None in values else statistics.mean(values)
                    for values in zip(
                        *(s.values() for s in by_class.values()), strict=True
                    )
                ]
            self._signs.append(self._sign(choice, todo))
            for name, seeds in by_class.items():
                values = list(seeds.values())
                self.rows.append(self._row(choice, name, values, paper))
            self.rows.append(self._row(choice, MEAN, overall, paper))

    @staticmethod
    def _row(choice, name, values, paper) -> Row:
        aurocs = [value for value in values if value is not None]
        diverged = len(values) - len(aurocs)
        return Row(dict(choice), name, aurocs, diverged, paper.get(name))

    def _sign(self, choice: Mapping[str, Any], todo: Sequence[Task]) -> float | None:
        """What a choice is judged by: a mean over its runs; None where one has none."""
        kind, signs = self._first.config.select_by, []
        for task, result in zip(todo, self._results, strict=True):
            if all(getattr(task.hyper, k) == v for k, v in choice.items()):
                synthetic = result.synthetic if isinstance(result, Summary) else {}
                if not kind or not synthetic:
                    return None
                mean = statistics.mean(synthetic.values())
                signs.append(mean if kind == "mean" else synthetic[kind])
        return statistics.mean(signs)

    @property
    def chosen(self) -> int | None:
        """Number of the choice with the highest sign; None where none has one."""
        signs = [-1.0 if sign is None else sign for sign in self._signs]
        best = max(range(len(signs)), key=signs.__getitem__)
        return None if self._signs[best] is None else best

    def conclusion(self) -> str:
        """The choice and what it is by, in a line; "" where none is made."""
        if self.chosen is None:
            return ""
        sign = self._signs[self.chosen]
        values = ", ".join(f"{k}={v}" for k, v in self._choices[self.chosen].items())
        kind = self._first.config.select_by
        return (
            f"Chosen without labels, by synthetic anomalies ({kind}, AUROC "
            f"{sign:.4f}): {values or 'the one there is'}\n"
        )

    def markdown(self) -> str:
        """Returns a Markdown table."""
        number = lambda value: "–" if value is None else f"{value:.4f}"
        lines = []
        for row in self.rows:
            count = str(len(row.values))
            if row.diverged:
                count += f" ({row.diverged} diverged)"
            cells = [number(row.mean), number(row.deviation), count]
            paper = "–" if row.published is None else f"{row.published:.3f}"
            choice = map(str, row.choice.values())
            lines.append([*choice, row.name, *cells, paper])
        table = _markdown.table(self._header(), lines) + "\n"
        return table + (f"\n{self.conclusion()}" if self.chosen is not None else "")

    def write(self, folder: RunFolder) -> None:
        """Writes `table.md`, `table.csv`, `table.png` and `results.jsonl`."""
        folder.write("table.md", self.markdown())
        rows = [
            [
                *row.choice.values(),
                row.name,
                row.mean,
                row.deviation,
                len(row.values),
                row.published,
                row.diverged,
            ]
            for row in self.rows
        ]
        folder.write_csv("table.csv", [*self._header(), "diverged"], rows)
        finished = [r for r in self._results if isinstance(r, Summary)]
        lines = [json.dumps(summary.to_json()) + "\n" for summary in finished]
        folder.write("results.jsonl", "".join(lines))
        folder.write("table.png", plots.png(self.figure()))

    def figure(self):
        """Draws bars with deviations, and the paper's numbers beside them."""
        series = {}
        for row in self.rows:
            label = ", ".join(f"{k} {v}" for k, v in row.choice.items()) or "ours"
            series.setdefault(label, []).append((row.mean, row.deviation))
        names = [row.name for row in self.rows[: len(self.rows) // len(self._choices)]]
        choices = [row.published for row in self.rows]
        paper = choices[: len(names)]
        if choices != paper * len(self._choices):
            paper = [None] * len(names)  # One bar cannot stand for several numbers.
        config = self._first.config
        title = f"{config.method}, {config.dataset}, {config.protocol}"
        return plots.table(names, series, paper, title)

    def summary(self, workdir: str) -> TableSummary:
        """Summary of all runs, in the folder `workdir`."""
        config = self._first.config
        means = [row for row in self.rows if row.name == MEAN]
        return TableSummary(
            method=config.method,
            dataset=config.dataset,
            protocol=config.protocol,
            epochs=config.epochs,
            steps=config.steps,
            classes=self._classes,
            seeds=config.seeds,
            diverged=sum(isinstance(r, Exception) for r in self._results),
            means=tuple(
                Mean(row.choice, row.mean, row.deviation, sign)
                for row, sign in zip(means, self._signs, strict=True)
            ),
            chosen=None if self.chosen is None else dict(self._choices[self.chosen]),
            workdir=workdir,
        )

    def _header(self) -> list[str]:
        about = [*self._choices[0], self._field.replace("_", " ")]
        return [*about, "AUROC", "deviation over seeds", "seeds", "paper"]
