"""Keeps the results of finished runs that count.

    python experiments/keep.py FOLDER...

appends a line for each run to `experiments/METHOD/results.jsonl`, once. FOLDER is a run
folder or a folder of run folders; the code that ran must be a commit.
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
KEPT = (
    "method dataset protocol normal_class anomalous_class seed epochs auroc auroc_low "
    "auroc_high average_precision fpr_at_95_tpr equal_error_rate normals anomalies "
    "promised_false_positive_rate reached_false_positive_rate held_out_normals "
    "train_normals images_per_second train_seconds leaks kinds baselines note"
).split()


def keep(folder: pathlib.Path) -> None:
    """Appends the results of the finished runs in a folder, with what they depend on.

    Raises:
      SystemExit: there is no finished run, or one of them cannot be kept.
    """
    summaries = sorted(folder.rglob("eval/summary.json"))
    if not summaries:
        raise SystemExit(f"{folder}: no finished run is here.")
    for path in summaries:
        _keep_run(path.parents[1])


def _keep_run(folder: pathlib.Path) -> None:
    try:
        line = _line(folder)
        file = _home(line["method"]) / "results.jsonl"
    except (OSError, ValueError, RecursionError) as error:
        raise SystemExit(f"{folder}: a file is missing or damaged: {error}.") from None
    except (KeyError, TypeError) as error:
        raise SystemExit(f"{folder}: a file lacks what runs have: {error}.") from None
    text = json.dumps(line, sort_keys=True) + "\n"
    if not file.exists() or text not in file.read_text():
        with open(file, "a") as lines:
            lines.write(text)


def _line(folder: pathlib.Path) -> dict:
    summary, known, environment = (
        json.loads((folder / name).read_text())
        for name in ("eval/summary.json", "run.json", "env.json")
    )
    if environment["commit"] is None or environment["commit"].endswith("+"):
        raise SystemExit(
            f"{folder}: the code that ran is no commit; run a committed one."
        )
    config = known["config"] | {name: known[name] for name in ("seed", "data")}
    line = {name: summary[name] for name in KEPT if name in summary}
    return line | {"config": config, "environment": environment}


def _home(method: str) -> pathlib.Path:
    """The folder where the results of a method are kept."""
    folder = HERE / method
    return folder if folder.is_dir() else HERE / "classical"


def main(arguments: list[str]) -> None:
    """Keeps the runs of all folders."""
    if not arguments or any(argument.startswith("-") for argument in arguments):
        raise SystemExit(__doc__)
    for folder in arguments:
        keep(pathlib.Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
