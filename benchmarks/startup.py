"""What a run costs before and beside its steps: imports, compilation, memory.

    python benchmarks/startup.py

Every measurement is a fresh process; medians are reported.
"""

import json
import shlex
import tempfile
from statistics import median
from typing import NamedTuple

import interleave
import processes
from absl import app, flags

TRAIN_ARGS = flags.DEFINE_string(
    "train_args", "", "Arguments of the measured experiments/train.py."
)
NAME = flags.DEFINE_string("name", "startup", "Of the file with the result.")

REPEATS = flags.DEFINE_integer("repeats", 3, "Processes of each kind.")
WITHOUT = "import jax, flax.linen, optax"
WITH = f"{WITHOUT}, ocjax, sys; assert 'tensorflow' not in sys.modules"


def imports() -> dict[str, list[float]]:
    """Seconds of a process that only imports, without and with ocjax."""
    processes.run("-c", WITH)  # Writes the bytecode, reads the disk.
    times = {WITHOUT: [], WITH: []}
    for _ in range(REPEATS.value):
        for statement, seconds in times.items():
            seconds.append(processes.run("-c", statement).seconds)
    return times


class Training(NamedTuple):
    """What a run took beside its steps."""

    first_step: float  # Seconds from the start of the process to the first step.
    scores: float  # Seconds to score test and held-out images.
    drawing: float  # Seconds to draw the pictures.
    peak: float  # Largest memory, MiB.


def train(cache: str, *arguments: str) -> Training:
    """Trains once in a process of its own."""
    with tempfile.TemporaryDirectory() as workdir:
        finished = processes.run(
            "experiments/train.py",
            f"--workdir={workdir}/run",
            *arguments,
            JAX_COMPILATION_CACHE_DIR=cache,
            JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS="0",
        )
    result = json.loads(finished.output.splitlines()[-1])
    keys = ("first_step_seconds", "score_seconds", "draw_seconds")
    return Training(*(result[key] for key in keys), finished.peak)


def main(_):
    """Measures, prints and writes the result."""
    importing = imports()
    arguments = shlex.split(TRAIN_ARGS.value)
    cold, warm = [], []
    for _ in range(REPEATS.value):
        with tempfile.TemporaryDirectory() as cache:
            cold.append(train(cache, *arguments))
            warm.append(train(cache, *arguments))

    without, both = (median(seconds) for seconds in importing.values())
    added = [b - a for a, b in zip(*importing.values(), strict=True)]
    rows = [
        {"": "importing jax, flax.linen and optax, seconds", "median": without},
        {"": "and ocjax, seconds", "median": both},
        {"": "what ocjax adds, seconds", "median": median(added)},
    ]
    for name, runs in {"cold": cold, "warm": warm}.items():
        found = Training(*(median(values) for values in zip(*runs, strict=True)))
        rows += [
            {
                "": f"first training step, {name} cache, seconds",
                "median": found.first_step,
            },
            {"": f"scores, {name} cache, seconds", "median": found.scores},
            {"": f"drawing, {name} cache, seconds", "median": found.drawing},
            {"": f"peak memory, {name} cache, MiB", "median": found.peak},
        ]
    command = shlex.join(["python", "experiments/train.py", *arguments])
    interleave.write(
        NAME.value,
        "Start",
        {f"Fresh processes; training is `{command}`": rows},
        imports=list(importing.values()),
        cold=cold,
        warm=warm,
    )


if __name__ == "__main__":
    app.run(main)
