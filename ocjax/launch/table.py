"""Many runs: every class, several seeds, and the table of them."""

import hashlib
import json
import os
import pathlib
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from ocjax import data
from ocjax.launch import task as tasks
from ocjax.launch.config import parse
from ocjax.launch.display import say
from ocjax.launch.folder import RunFolder
from ocjax.launch.single import run
from ocjax.launch.task import Task


def launch(
    values: Mapping[str, Any],
    *,
    seed: int = 0,
    workdir: str | os.PathLike | None = None,
    data_dir: str | os.PathLike | None = None,
    command: str = "",
    started: float | None = None,
) -> dict[str, Any]:
    """Does what a configuration says: one run, or all classes and seeds.

    Args:
      values: as `configure` makes them; `normal_class` (or `anomalous_class`) may be
        "all", and `seeds` more than 1.
      seed: of the first run.
      workdir: run folder, of many runs the folder of their folders; by default one
        below `runs/` that is named by the configuration.
      data_dir: where TFDS keeps its data sets.
      command: what reproduces this, for the reports.
      started: `time.monotonic()` when the process started.

    Returns:
      The summary of the run, or of the table.

    Raises:
      InputError: the configuration, the data or a folder cannot be used.
    """
    todo = _tasks(values, seed, data_dir)
    workdir = pathlib.Path(workdir or _default_workdir(values, seed, todo))
    if len(todo) == 1:
        return run(todo[0], workdir, command=command, started=started)
    folder = RunFolder(workdir)
    folder.open({"runs": [task.identity() for task in todo]})
    results = []
    for i, task in enumerate(todo):
        name = f"{_class_name(task)}-seed{task.seed}"
        say(f"Run {i + 1} of {len(todo)}: {name}")
        results.append(run(task, workdir / name, command=command))
    return _write_table(folder, results)


def _tasks(values, seed, data_dir) -> list[Task]:
    config, _ = parse(values)
    field = data.TARGET[config.protocol]
    classes = [getattr(config, field)]
    if classes == ["all"]:
        dataset = data.load(config.dataset, data_dir=data_dir, size=config.image_size)
        classes = list(dataset.class_names)
    return [
        tasks.load({**values, field: name}, one_seed, data_dir)
        for name in classes
        for one_seed in range(seed, seed + config.seeds)
    ]


def _default_workdir(values, seed, todo: Sequence[Task]) -> str:
    """A name that another configuration does not have."""
    config = todo[0].config
    identity = json.dumps([task.identity() for task in todo], sort_keys=True)
    digest = hashlib.sha256(identity.encode()).hexdigest()[:6]
    which = "all" if len(todo) > 1 else _class_name(todo[0])
    parts = [config.method, config.dataset, config.protocol, which, f"seed{seed}"]
    return os.path.join("runs", "-".join([*parts, digest]))


def _class_name(task: Task) -> str:
    name = task.dataset.class_names[task.target]
    return "".join(c if c.isalnum() else "_" for c in name)


def _write_table(folder: RunFolder, results: Sequence[dict]) -> dict[str, Any]:
    """Writes `table.md`, `table.csv` and `results.jsonl`; returns the means."""
    field = data.TARGET[results[0]["protocol"]]
    by_class = {}
    for result in results:
        by_class.setdefault(result[field], []).append(result["auroc"])
    rows = [
        (name, statistics.mean(values), _deviation(values), len(values))
        for name, values in by_class.items()
    ]
    means = [mean for _, mean, _, _ in rows]
    per_seed = list(zip(*by_class.values(), strict=True))
    overall = [statistics.mean(values) for values in per_seed]
    rows.append(("mean", statistics.mean(means), _deviation(overall), len(overall)))
    header = [field.replace("_", " "), "AUROC", "deviation over seeds", "seeds"]
    lines = [header, ["---"] * len(header)]
    cell = lambda deviation: "" if deviation is None else f"{deviation:.4f}"
    lines += [[n, f"{m:.4f}", cell(d), str(k)] for n, m, d, k in rows]
    markdown = "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
    folder.write("table.md", markdown)
    folder.write_csv("table.csv", header, rows)
    folder.write("results.jsonl", "".join(json.dumps(r) + "\n" for r in results))
    say(markdown)
    shared = ("method", "dataset", "protocol", "epochs")
    return {name: results[0][name] for name in shared} | {
        "classes": len(by_class),
        "seeds": len(overall),
        "auroc_mean": rows[-1][1],
        "auroc_deviation": rows[-1][2],
        "workdir": str(folder.path),
    }


def _deviation(values: Sequence[float]) -> float | None:
    """Sample standard deviation; None of a single value."""
    return statistics.stdev(values) if len(values) > 1 else None
