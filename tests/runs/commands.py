"""Runs `experiments/train.py` or `ocjax train` as a user would, on tiny networks."""

import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).parents[2]
TINY = [
    f"--config={ROOT / 'experiments' / 'ganomaly' / 'digits.py'}",
    "--config.hyper.latent=3",
    "--config.hyper.features=2",
    "--config.epochs=40",
    "--config.checkpoint_epochs=4",
    "--config.log_every=1",
]

PLAIN = [*TINY, "--config.report=False"]  # Without pictures, which take seconds.


def start(
    *arguments: str, cwd: pathlib.Path, ocjax: bool = False, **environment: str
) -> subprocess.Popen:
    """Starts the command; that of the package says --set for --config."""
    program = [str(ROOT / "experiments" / "train.py")]
    if ocjax:
        program = ["-m", "ocjax", "train"]
        arguments = tuple(x.replace("--config.", "--set=") for x in arguments)
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {"PYTHONPATH": path} | environment
    return subprocess.Popen(
        [sys.executable, *program, *arguments],
        cwd=cwd,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments: str, cwd: pathlib.Path, ocjax: bool = False, **environment: str):
    """Runs the command to its end: (exit code, standard output, standard error)."""
    process = start(*arguments, cwd=cwd, ocjax=ocjax, **environment)
    output, error = process.communicate(timeout=300)
    return process.returncode, output, error


def result(output: str) -> dict:
    """The JSON object of the last line."""
    return json.loads(output.splitlines()[-1])


def wait_for_checkpoint(workdir: pathlib.Path, process: subprocess.Popen) -> None:
    """Returns once a first checkpoint is whole."""
    for _ in range(6000):
        steps = [p for p in workdir.glob("checkpoints/*") if p.name.isdecimal()]
        if steps:
            return
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    raise TimeoutError(f"No checkpoint in {workdir}.")
