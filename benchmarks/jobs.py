"""Seconds of a whole command in one process, and shared by two, each on its own core.

    python benchmarks/jobs.py

From the start of the first process to the end of the last, imports, compilation from a
warm cache, judging and files included. A table of four seeds of GANomaly trains most of
the time; PaDiM on pictures that it was given to score takes its features most of the
time. Needs the weights of the extra `pretrained`.
"""

import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
from statistics import median

import interleave
import noise
import numpy as np
from absl import app, flags

ROUNDS = flags.DEFINE_integer("rounds", 3, "Turns of each command.")
STEPS = flags.DEFINE_integer("steps", 60, "Of each of the four seeds.")
SCORED = flags.DEFINE_integer("scored", 1500, "Pictures of the test part.")
SIDE = flags.DEFINE_integer("side", 224, "Height and width of the pictures.")
NAME = flags.DEFINE_string("name", "jobs", "Of the file with the result.")

TRAINED = 60  # Pictures that PaDiM trains on.
PROCESSES = 2


def seconds(count: int, *arguments: str) -> float:
    """Seconds of `ocjax train` by `count` processes, each on a core of its own."""
    cores = sorted(os.sched_getaffinity(0))
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    job = [f"--coordinator=localhost:{port}", f"--num_processes={count}"]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "ocjax", "train", *arguments]
        command += [f"--workdir={folder}/run", "--set", "devices=0"]
        start, running = time.perf_counter(), []
        for number in range(count):
            own = [*job, f"--process_id={number}"] if count > 1 else []
            process = subprocess.Popen(
                [*command, *own],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            os.sched_setaffinity(process.pid, {cores[number]})
            running.append(process)
        for process in running:
            _, error = process.communicate()
            if process.returncode:
                raise SystemExit(error)
        return time.perf_counter() - start


def write_pictures(root: pathlib.Path) -> None:
    """Writes pictures of smooth noise in the layout of a folder."""
    rng = np.random.default_rng(0)
    for part, count in (("train", TRAINED), ("test", SCORED.value)):
        (root / part / "good").mkdir(parents=True)
        for i in range(count):
            picture = noise.smooth(rng, SIDE.value)
            picture.save(root / part / "good" / f"{i:05d}.png")


def main(_):
    """Measures, prints and writes the result."""
    if interleave.cores() < PROCESSES:
        raise SystemExit(f"Expected {PROCESSES} cores, found {interleave.cores()}.")
    with tempfile.TemporaryDirectory() as folder:
        pictures = pathlib.Path(folder)
        write_pictures(pictures)
        shared = ("--set", "report=False")
        commands = {
            f"four seeds of GANomaly on the digits, {STEPS.value} steps each": (
                *("digits", "--method=ganomaly", f"--steps={STEPS.value}"),
                *("--set", "seeds=4", *shared),
            ),
            f"PaDiM, {TRAINED} pictures trained on and {SCORED.value:,} scored": (
                *(str(pictures), "--method=padim", *shared),
            ),
        }
        counts = (1, PROCESSES)
        for command in commands.values():  # Fills the cache of compiled programs.
            for count in counts:
                seconds(count, *command)
        found = {name: {count: [] for count in counts} for name in commands}
        for _ in range(ROUNDS.value):
            for name, command in commands.items():
                for count in counts:
                    found[name][count].append(seconds(count, *command))
    rows = []
    for name, taken in found.items():
        ratio = interleave.ratios(taken[1], taken[PROCESSES])
        rows.append(
            {
                "command": name,
                "one process, seconds": median(taken[1]),
                "two, seconds": median(taken[PROCESSES]),
                "ratio": median(ratio),
                "lowest to highest": interleave.span(ratio),
            }
        )
    interleave.write(
        NAME.value,
        "Two processes",
        {"Whole commands, each process on a core of its own": rows},
        seconds=found,
        settings={"rounds": ROUNDS.value},
    )


if __name__ == "__main__":
    app.run(main)
