"""One run: images in, a finished run folder out."""

import os
from typing import Any

from ocjax import methods, training
from ocjax.launch import environment, paper_code, record
from ocjax.launch.display import say
from ocjax.launch.folder import RunFolder
from ocjax.launch.judge import judge
from ocjax.launch.task import Task


def run(
    task: Task,
    path: str | os.PathLike,
    *,
    command: str = "",
    started: float | None = None,
) -> dict[str, Any]:
    """Trains, scores, judges and draws, or goes on where that was interrupted.

    Args:
      task: what to do.
      path: of the run folder.
      command: what reproduces the run, for the report.
      started: `time.monotonic()` when the process started, to tell how long it took
        until the first step.

    Returns:
      The summary, as kept in `eval/summary.json`. A finished run is not run again.

    Raises:
      InputError: the folder or its checkpoints cannot be used.
      record.Stopped: SIGTERM came; the same call goes on from there.
      training.NonFiniteError: a loss is not finite.
      OSError: the folder cannot be written.
    """
    config, split, images = task.config, task.split, task.dataset.images
    devices = training.Devices.local(config.devices)
    _, build = methods.METHODS[config.method]
    trained_as = build(task.hyper, axis_name=devices.axis_name)
    method = build(task.hyper)  # On one device, to score and to draw.
    paper_code.check(config.paper_code, method)
    if config.paper_code.mnist_normalization:
        trained_as, method = map(paper_code.mnist_normalized, (trained_as, method))
    normals = images[split.train]
    # Before anything is written.
    training.check(trained_as, normals, config.epochs, config.batch_size, devices)
    folder = RunFolder(path)
    folder.open(task.identity())
    if (finished := folder.result()) is not None:
        say(f"{path} is finished; this is its result.")
        return finished
    folder.write_json("env.json", environment.describe())
    trained = record.train(trained_as, method, task, devices, folder)
    first = trained.first_step_at
    facts = {
        "images_per_second": trained.images_per_second,
        "compile_seconds": round(trained.compile_seconds, 2),
        "train_seconds": round(trained.train_seconds, 2),
        "first_step_seconds": round(first - started, 2) if first and started else None,
        "train_normals": len(split.train),
        "command": command,
        "workdir": str(path),
    }
    return judge(task, method, trained.state, folder, facts)
