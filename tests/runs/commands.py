"""Runs `experiments/train.py` or `ocjax train` as a user would, on tiny networks."""

import json
import os
import pathlib
import subprocess
import sys
import time

from ocjax import runs

ROOT = pathlib.Path(__file__).parents[2]
EPOCHS = 16


def tiny(method: str) -> list[str]:
    """Arguments of a short run of a method, small, on the digits."""
    return [
        f"--config={ROOT / 'experiments' / method / 'digits.py'}",
        "--config.hyper.latent=3",
        "--config.hyper.features=2",
        f"--config.epochs={EPOCHS}",
        "--config.checkpoint_epochs=4",
        "--config.log_every=1",
    ]


TINY = tiny("autoencoder")  # The method that starts fastest.
PLAIN = [*TINY, "--config.report=False"]  # Without pictures, which take seconds.
AS_PLAIN = {
    "method": "autoencoder",
    "false_positive_rate": 0.05,
    "epochs": EPOCHS,
    "batch_size": 32,
    "checkpoint_epochs": 4,
    "log_every": 1,
    "report": False,
    "hyper": {"latent": 3, "features": 2},
}


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


def run_here(workdir: pathlib.Path, **changes) -> dict:
    """The result of what `PLAIN` runs, in this process, which starts faster."""
    values = runs.configure(**(AS_PLAIN | changes)).to_dict()
    summary = runs.launch(values, workdir=workdir)
    assert summary is not None
    return summary.to_json()


FORKS = """
import json, os, runpy, sys
import ocjax.cli.exits, ocjax.runs.table, ml_collections.config_flags
script, *commands = json.load(sys.stdin)
codes = []
for number, command in enumerate(commands):
    child = os.fork()
    if not child:
        for stream, name in ((1, "output"), (2, "error")):
            os.dup2(os.open(f"{number}.{name}", os.O_WRONLY | os.O_CREAT), stream)
        os.mkdir(str(number))
        os.chdir(str(number))
        sys.argv = [script, *command]
        runpy.run_path(script, run_name="__main__")
        sys.exit(0)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(json.dumps(codes))
"""


def run_each(commands: list[list[str]], cwd: pathlib.Path):
    """Runs commands that end before they compute, each in a folder of its own.

    Their processes are forks of one that has imported what all of them import, which
    takes longer than all else. JAX starts nothing before it computes.

    Returns:
      For each command (exit code, standard output, standard error), and its folder.
    """
    script = str(ROOT / "experiments" / "train.py")
    path = [str(ROOT), str(ROOT / "experiments"), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", FORKS],
        input=json.dumps([script, *commands]),
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    read = lambda number, name: (cwd / f"{number}.{name}").read_text()
    return [
        ((code, read(number, "output"), read(number, "error")), cwd / str(number))
        for number, code in enumerate(json.loads(done.stdout))
    ]


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
