"""Trains, scores and judges one method on one data set: the launcher.

    python experiments/train.py
    python experiments/train.py --config=experiments/ganomaly/mnist.py \
        --config.anomalous_class=2 --data_dir=$HOME/tensorflow_datasets

The same command goes on where it was interrupted. The last line printed is one JSON
object with the result, as of `ocjax train`; tables have the papers' numbers too.
"""

import time

STARTED = time.monotonic()

import pathlib  # noqa: E402
import shlex  # noqa: E402
import sys  # noqa: E402

import paper  # noqa: E402
from absl import flags  # noqa: E402

from ocjax.cli import cluster, exits, launching  # noqa: E402
from ocjax.runs import changes, config, environment  # noqa: E402

DIGITS = pathlib.Path(__file__).parent / "lrgdan" / "digits.py"
FLAGS = flags.FLAGS
flags.DEFINE_string(
    "config", str(DIGITS), "Configuration file; --config.FIELD=VALUE changes a field."
)
flags.DEFINE_string("workdir", None, "Run folder (default: runs/NAME).")
flags.DEFINE_string("data_dir", None, "Folder of data sets.")
flags.DEFINE_integer("seed", 0, "Seed of initialization and batch order.", 0, 2**32 - 1)
flags.DEFINE_integer(
    "profile_steps", 0, "Number of steps to trace by JAX's profiler.", 0
)
flags.DEFINE_string(
    "coordinator", None, "Address of process 0 of a job, host:port or auto."
)
flags.DEFINE_integer("num_processes", None, "Number of processes of the job.", 1)
flags.DEFINE_integer("process_id", None, "Number of this process, from 0 on.", 0)


def parse(arguments: list[str]) -> dict:
    """Parses the command line into flags, and returns the configuration."""
    texts, others = launching.config_flags(arguments)

    def configuration() -> dict:
        job().check()
        return changes.changed(config.from_file(FLAGS.config), texts, "--config.")

    return exits.parse_flags(others, configuration)


def job() -> cluster.Job:
    """Job of the processes that work together."""
    return cluster.Job(FLAGS.coordinator, FLAGS.num_processes, FLAGS.process_id)


def main(values: dict) -> None:
    """Runs a configuration."""
    environment.keep_programs()
    launching.launch(
        values,
        job(),
        seed=FLAGS.seed,
        workdir=FLAGS.workdir,
        data_dir=FLAGS.data_dir,
        command=shlex.join(["python", *sys.argv]),
        started=STARTED,
        profile_steps=FLAGS.profile_steps,
        published=paper.published,
    )


if __name__ == "__main__":
    exits.start(exits.guarded(main), parse)
