"""Keeps the results of finished runs that count.

    python experiments/keep.py [--data_dir=DIR] FOLDER...

appends a line for each run to `experiments/METHOD/results.jsonl`, once. FOLDER is a run
folder or a folder of run folders; the code that ran must be a commit. With DIR, the
folder of its data, each measure but the score is judged too, as `measures.py` does.
"""

import dataclasses
import json
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

from ocjax import _records
from ocjax._checks import InputError
from ocjax.evaluation.metrics import Kind
from ocjax.inference.run_folder import trained
from ocjax.runs.folder import RunFolder
from ocjax.runs.known import FILE
from ocjax.runs.summary import (
    Baseline,
    Identity,
    class_by_name,
    class_by_role,
)

HERE = pathlib.Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Result:
    """A line of `results.jsonl`: results of a run, and what they depend on.

    Fields of `Summary` have the same meaning here; runs older than a field have its
    default.

    Attributes:
      config: configuration of the run, with its seed and the fingerprint of its data.
      environment: versions, commit, devices.
      measures: AUROC of each measure by itself, if they were judged.
    """

    identity: Identity
    auroc: float
    auroc_low: float
    auroc_high: float
    average_precision: float
    fpr_at_95_tpr: float
    equal_error_rate: float
    normals: int
    anomalies: int
    promised_false_positive_rate: float | None
    reached_false_positive_rate: float | None
    held_out_normals: int
    train_normals: int
    images_per_second: float | None
    train_seconds: float
    config: dict[str, Any]
    environment: dict[str, Any]
    leaks: tuple[str, ...] = ()
    kinds: dict[str, Kind] = dataclasses.field(default_factory=dict)
    baselines: dict[str, Baseline] = dataclasses.field(default_factory=dict)
    note: str = ""
    pixel_auroc: float | None = None
    per_region_overlap: float | None = None
    synthetic: dict[str, float] = dataclasses.field(default_factory=dict)
    steps: int = 0
    measures: dict[str, float] = dataclasses.field(default_factory=dict)

    @property
    def length(self) -> str:
        """How long it trained, "15 epochs" or "2,000 steps"; "" of one pass."""
        if epochs := self.identity.epochs:
            return f"{epochs} epochs"
        budget = self.config.get("steps", 0)
        whole = self.steps >= budget or self.config.get("until") == "converged"
        return f"{self.steps:,} steps" if budget and whole else ""

    def to_json(self) -> dict[str, Any]:
        """Returns one flat object."""
        return class_by_role(_records.to_json(self))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Result":
        """Reads an object of `to_json`.

        Raises:
          InputError: a field is missing, unknown or of another type.
        """
        return _records.from_json(cls, class_by_name(values))


def keep(folder: pathlib.Path, data_dir: str | None = None) -> None:
    """Appends the results of the finished runs in a folder, with what they depend on.

    Args:
      folder: run folder, or folder of run folders.
      data_dir: folder of the data, to judge each measure by itself.

    Raises:
      SystemExit: there is no finished run, or one of them cannot be kept.
    """
    summaries = sorted(folder.rglob("eval/summary.json"))
    if not summaries:
        raise SystemExit(f"{folder}: no finished run is here.")
    for path in summaries:
        _keep_run(path.parents[1], data_dir)


def _keep_run(folder: pathlib.Path, data_dir: str | None) -> None:
    try:
        result = result_of(RunFolder(folder))
        if data_dir is not None:
            import measures  # It defines flags, which other programs have too.

            judged = measures.aurocs(trained(folder), data_dir, result.auroc)
            result = dataclasses.replace(result, measures=judged)
    except InputError as error:
        raise SystemExit(f"{folder}: {error}") from None
    except OSError as error:
        raise SystemExit(f"{folder}: a file is missing: {error}.") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise SystemExit(f"{folder}: a file lacks what runs have: {error}.") from None
    append(result, home(result.identity.method) / "results.jsonl")


def append(result: Result, file: pathlib.Path) -> bool:
    """Appends a result to a file as a line, and says so, unless it is there."""
    text = json.dumps(result.to_json(), sort_keys=True) + "\n"
    if file.exists() and text in file.read_text():
        return False
    with open(file, "a") as lines:
        lines.write(text)
    return True


def result_of(folder: RunFolder, commit: str = "") -> Result:
    """Result of a finished run.

    Args:
      folder: its folder.
      commit: commit of the code that ran, where it is known; else the folder tells.

    Raises:
      InputError: the code that ran is no commit, or nothing was anomalous.
    """
    summary, known = folder.result(), folder.read_object(FILE)
    environment = environment_of(folder, commit)
    assert summary is not None
    judgement, training = summary.judgement, summary.training
    if judgement.measures is None:
        raise InputError("no test image is anomalous, so there is no AUROC to keep.")
    measures = dataclasses.asdict(judgement.measures)
    del measures["best_f1_oracle"]
    decisions, localization = judgement.decisions, summary.localization
    return Result(
        identity=summary.identity,
        **measures,
        normals=judgement.normals,
        anomalies=judgement.anomalies,
        promised_false_positive_rate=judgement.promised_false_positive_rate,
        reached_false_positive_rate=decisions and decisions.reached_false_positive_rate,
        held_out_normals=summary.held_out_normals,
        train_normals=training.train_normals,
        images_per_second=training.images_per_second,
        train_seconds=training.train_seconds,
        config=known["config"] | {name: known[name] for name in ("seed", "data")},
        environment=environment,
        leaks=summary.leaks,
        kinds=judgement.kinds,
        baselines=summary.baselines,
        synthetic=summary.synthetic,
        steps=training.steps,
        note=summary.note,
        pixel_auroc=localization and localization.pixel_auroc,
        per_region_overlap=localization and localization.per_region_overlap,
    )


def environment_of(folder: RunFolder, commit: str = "") -> dict[str, Any]:
    """Versions, commit and devices of a run; arguments as of `result_of`.

    Raises:
      InputError: the code that ran is no commit.
    """
    environment = folder.read_object("env.json")
    if commit:
        environment["commit"] = commit
    if environment["commit"] is None or environment["commit"].endswith("+"):
        raise InputError("the code that ran is no commit; run a committed one.")
    return environment


def home(method: str, experiments: pathlib.Path | None = None) -> pathlib.Path:
    """Folder where the results of a method are kept, by default of this checkout."""
    experiments = experiments or HERE
    folder = experiments / method
    return folder if folder.is_dir() else experiments / "classical"


def main(arguments: list[str]) -> None:
    """Keeps the runs of all folders."""
    option, data_dir = "--data_dir=", None
    if arguments and arguments[0].startswith(option):
        data_dir = arguments.pop(0).removeprefix(option)
    if not arguments or any(argument.startswith("-") for argument in arguments):
        raise SystemExit(__doc__)
    for folder in arguments:
        keep(pathlib.Path(folder), data_dir)


if __name__ == "__main__":
    main(sys.argv[1:])
