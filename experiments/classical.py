r"""Judges classical detectors as the methods are judged: same data, split and report.

    python experiments/classical.py --config=experiments/autoencoder/stop_signs.py \
        --data_dir=DIR --workdir=RUNS

The configuration says data set, protocol, class and number of seeds; what it says of
networks is not used. Each detector and seed gets a folder below `--workdir`; the last
line printed is one JSON object with the AUROCs.
"""

import contextlib
import dataclasses
import json
import pathlib
import time

import numpy as np
from absl import flags

from ocjax import baselines, runs
from ocjax._checks import one_of
from ocjax.cli import exits, launching
from ocjax.runs import environment, judge
from ocjax.runs.changes import changed
from ocjax.runs.config import from_file
from ocjax.runs.display import say
from ocjax.runs.folder import RunFolder
from ocjax.runs.summary import Training

CONFIG = flags.DEFINE_string("config", None, "Configuration file.", required=True)
DATA_DIR = flags.DEFINE_string("data_dir", None, "Where the data sets are.")
WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder of the run folders.", required=True
)
SEED = flags.DEFINE_integer("seed", 0, "The first one.", lower_bound=0)
DETECTORS = flags.DEFINE_list("detectors", list(baselines.DETECTORS), "Which of them.")


def run(name: str, task: runs.Task, path: pathlib.Path) -> runs.Summary:
    """Fits and judges one detector; a finished folder is not judged again."""
    with contextlib.closing(RunFolder(path)) as folder:
        known = task.known().to_json()
        known["config"] |= {"method": name, "hyper": {}}
        folder.open(known)
        return folder.result() or _judged(name, task, folder)


def _judged(name: str, task: runs.Task, folder: RunFolder) -> runs.Summary:
    folder.write_json("env.json", environment.describe())
    images, split, start = task.dataset.images, task.split, time.perf_counter()
    score = baselines.fit(name, images[split.train], task.seed)
    training = Training(
        train_normals=len(split.train),
        steps=0,
        images_per_second=None,
        compile_seconds=None,
        train_seconds=round(time.perf_counter() - start, 3),
        first_step_seconds=None,
    )
    scores, held_out = score(images[split.test]), score(images[split.validation])
    summary = judge.summarize(task, scores, held_out, folder, training)
    identity = dataclasses.replace(summary.identity, method=name, epochs=0)
    summary = dataclasses.replace(summary, identity=identity)
    folder.finish(summary)
    return summary


def main(values: dict) -> None:
    """Judges all detectors and seeds, and prints their AUROCs."""
    for name in DETECTORS.value:
        one_of("detector", name, baselines.DETECTORS)
    found = {}
    todo, _ = runs.tasks_of(values, SEED.value, DATA_DIR.value)
    for task in todo.values():
        for name in DETECTORS.value:
            target = task.dataset.class_names[task.target]
            path = pathlib.Path(WORKDIR.value) / f"{name}-{target}-seed{task.seed}"
            summary = run(name, task, path)
            say(f"{path.name}: AUROC {summary.auroc:.4f}")
            found.setdefault(name, []).append(summary.auroc)
    means = {name: float(np.mean(aurocs)) for name, aurocs in found.items()}
    print(json.dumps({"auroc_mean": means, "runs": found}))


def parse(arguments: list[str]) -> dict:
    """The configuration that the command line says; sets the flags."""
    texts, others = launching.config_flags(arguments)
    configuration = lambda: changed(from_file(CONFIG.value), texts, "--config.")
    return exits.parse_flags(others, configuration)


if __name__ == "__main__":
    exits.start(exits.guarded(main), parse)
