"""Trains, scores and judges one method on one data set: the launcher.

    python experiments/train.py
    python experiments/train.py --config=experiments/ganomaly/mnist.py \
        --config.anomalous_class=2 --data_dir=$HOME/tensorflow_datasets

The same command goes on where it was interrupted. The last line printed is one JSON
object with the result.
"""

import time

STARTED = time.monotonic()

import json  # noqa: E402
import pathlib  # noqa: E402
import shlex  # noqa: E402
import sys  # noqa: E402
from collections.abc import Mapping  # noqa: E402

import paper  # noqa: E402
from absl import flags  # noqa: E402
from ml_collections import config_flags  # noqa: E402

from ocjax import runs  # noqa: E402
from ocjax.cli import cluster, exits  # noqa: E402
from ocjax.runs import environment  # noqa: E402
from ocjax.training import processes  # noqa: E402

DEFAULT = pathlib.Path(__file__).parent / "lrgdan" / "digits.py"
CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Configuration file, by default experiments/lrgdan/digits.py."
)
WORKDIR = flags.DEFINE_string(
    "workdir",
    None,
    "Run folder; by default one below runs/, named by the configuration.",
)
DATA_DIR = flags.DEFINE_string("data_dir", None, "Where TFDS keeps its data sets.")
SEED = flags.DEFINE_integer(
    "seed",
    0,
    "Seed of initialization and batch order, below 2^32.",
    lower_bound=0,
    upper_bound=2**32 - 1,
)
PROFILE_STEPS = flags.DEFINE_integer(
    "profile_steps",
    0,
    "Write a trace of so many steps, by JAX's profiler, into the run folder.",
    lower_bound=0,
)
COORDINATOR = flags.DEFINE_string(
    "coordinator",
    None,
    "Of a job of several processes: host:port of process 0, or auto where the "
    "environment tells (Slurm, Cloud TPU, Kubernetes, Open MPI).",
)
NUM_PROCESSES = flags.DEFINE_integer(
    "num_processes", None, "Of the job.", lower_bound=1
)
PROCESS_ID = flags.DEFINE_integer(
    "process_id", None, "Of this process, from 0 on.", lower_bound=0
)

COMMAND = shlex.join(["python", *sys.argv])


def main(_) -> None:
    """Runs what the flags say and prints the result."""
    environment.keep_programs()
    result = runs.launch(
        CONFIG.value.to_dict(),
        seed=SEED.value,
        workdir=WORKDIR.value,
        data_dir=DATA_DIR.value,
        command=COMMAND,
        started=STARTED,
        published=_published,
        profile_steps=PROFILE_STEPS.value,
    )
    processes.agree(0)  # Others wait here while process 0 draws.
    if result is None:  # Process 0 writes.
        return
    print(json.dumps(result.to_json()))
    if isinstance(result, runs.TableSummary) and result.diverged:
        exits.fail(
            exits.NOT_FINITE,
            f"{result.diverged} runs diverged; the table names them.",
        )


def _published(config: Mapping) -> dict[str, float]:
    """What the paper of the method has, where it is one of these experiments."""
    folder = pathlib.Path(__file__).parent / config["method"]
    file = folder / f"{config['dataset']}.py"
    return paper.Paper(folder).published(config) if file.exists() else {}


def parse(arguments: list[str]) -> list[str]:
    """Parses flags; what is wrong with them is said in one line."""
    # ml_collections wants the file before the fields that change it.
    sys.argv = [arguments[0], *sorted(arguments[1:], key=_names_no_file)]
    if "--config" not in sys.argv and all(map(_names_no_file, sys.argv[1:])):
        sys.argv.insert(1, f"--config={DEFAULT}")
    exits.parse_flags(sys.argv, lambda: CONFIG.value.to_dict())
    _check_job(COORDINATOR.value, NUM_PROCESSES.value, PROCESS_ID.value)
    return sys.argv[:1]


def _check_job(coordinator: str | None, count: int | None, number: int | None) -> None:
    given = [count is not None, number is not None]
    if coordinator == "auto" and not any(given):
        return
    if coordinator is None and any(given):
        exits.fail(
            exits.USER_ERROR, "--num_processes and --process_id need a --coordinator."
        )
    if coordinator is not None and (count is None or number is None):
        exits.fail(
            exits.USER_ERROR, "--coordinator needs --num_processes and --process_id."
        )
    if count is not None and number is not None and number >= count:
        exits.fail(exits.USER_ERROR, f"`process_id` (={number}) must be below {count}.")


def _names_no_file(argument: str) -> bool:
    return not argument.startswith(("--config=", "-config="))


def start(arguments: list[str]) -> None:
    """Runs `main`, in a job of several processes if the flags say so."""
    coordinator, guarded = COORDINATOR.value, exits.guarded(main)
    if coordinator is None:
        guarded(arguments)
        return
    cluster.watch()

    def work():
        processes.start(coordinator, NUM_PROCESSES.value, PROCESS_ID.value)
        guarded(arguments)

    cluster.end_on_error(work)


if __name__ == "__main__":
    exits.start(start, parse)
