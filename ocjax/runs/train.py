"""Training of one run or many: images in, finished run folders out."""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from ocjax import training
from ocjax.methods import Method
from ocjax.runs import convergence, environment, paper_code, record, stop
from ocjax.runs.build import build_method
from ocjax.runs.display import Display, say
from ocjax.runs.folder import RunFolder
from ocjax.runs.judge import judge
from ocjax.runs.summary import Summary
from ocjax.runs.task import Task
from ocjax.training import checkpoint, processes

Result = Summary | training.NonFiniteError


def run(task: Task, path: str | os.PathLike, **options) -> Summary | None:
    """Trains one run; arguments, result and errors are those of `run_all`.

    Raises:
      training.NonFiniteError: a loss is not finite; the last checkpoint stays.
    """
    (result,) = run_all([task], [path], **options)
    if isinstance(result, training.NonFiniteError):
        raise result
    return result


def run_all(
    tasks: Sequence[Task],
    paths: Sequence[str | os.PathLike],
    *,
    command: str = "",
    started: float | None = None,
    profile_steps: int = 0,
) -> list[Result | None]:
    """Trains, scores, judges and draws, or goes on where that was interrupted.

    Args:
      tasks: runs: one, whose batches the devices share; or many with the same
        data and configuration but for class, seed and hyper-parameters, which the
        devices share out.
      paths: paths of the run folders.
      command: command that reproduces the runs, for the reports.
      started: `time.monotonic()` when the process started, to tell how long it took
        until the first step.
      profile_steps: number of steps to trace into the first folder.

    Returns:
      The summary of each run, as kept in `eval/summary.json`; or the error that ended
      it, which does not touch the others. A finished run is not run again. Of several
      processes, process 0 alone writes and returns summaries; others return None.

    Raises:
      InputError: a folder or its checkpoints cannot be used.
      stop.Stopped: SIGTERM or Ctrl-C came; the same call goes on from there.
      OSError: a folder cannot be written.
    """
    images = tasks[0].dataset.images
    for task in tasks:
        paper_code.check(task)
        convergence.check(task, _builder(task)())
    groups = _groups(tasks)
    for group in groups:  # Errors come before anything is written.
        training.check(
            group.build(**group.hyper[0]),
            images,
            [_model(tasks[i]) for i in group.numbers],
            tasks[0].budget,
            tasks[group.numbers[0]].config.batch_size,
            group.devices,
        )
    folders = [RunFolder(path) for path in paths]
    with contextlib.ExitStack() as opened:
        for folder in folders:
            opened.callback(folder.close)
        results = _claim(tasks, folders)
        request = opened.enter_context(stop.requests())
        display = opened.enter_context(Display(quiet=not processes.primary()))
        runs = {}
        for i, task in enumerate(tasks):
            if i not in results:
                name = folders[i].path.name if len(tasks) > 1 else ""
                runs[i] = record.Run(_builder(task)(), task, folders[i], display, name)
                opened.callback(runs[i].close)
        profile = record.Profile(folders[0], profile_steps * processes.primary())
        opened.callback(profile.close)
        for group in groups:
            for number, progress in _train(group, tasks, runs):
                run = runs[number]
                profile.look(progress)
                run.write(progress)
                if progress.last or not progress.count:
                    _save_where_due(
                        [run for run in runs.values() if run.is_open], request
                    )
                if progress.done:
                    try:
                        with request.at_once():
                            results[number] = _finish(run, progress, command, started)
                    except stop.Stopped:  # Others may have gone on since they saved.
                        for other in runs.values():
                            other.save()
                        raise
    return [results[i] for i in range(len(tasks))]


def _save_where_due(runs: Sequence[record.Run], request: stop.Stop) -> None:
    """Saves runs where it is time to, or where the job is asked to stop.

    Raises:
      stop.Stopped: the job was asked to stop.
    """
    if number := processes.largest(request.signal):
        steps = ", ".join([str(run.save()) for run in runs])
        raise stop.stopped(number, f"saved after step {steps or 0}")
    if processes.agree(any(run.is_late for run in runs)):
        for run in runs:
            run.save()


def _claim(
    tasks: Sequence[Task], folders: Sequence[RunFolder]
) -> dict[int, Result | None]:
    """Opens the folders; returns the results of runs that are finished, by number."""
    summaries: list[Summary | None] = [None] * len(tasks)
    if processes.primary():
        for task, folder in zip(tasks, folders, strict=True):
            folder.open(task.known().to_json())
        summaries = [folder.result() for folder in folders]
        for folder, summary in zip(folders, summaries, strict=True):
            if summary is not None:
                say(f"{folder.path} is finished; this is its result.")
                continue
            if not (folder.path / "env.json").exists():
                folder.write_json("env.json", environment.describe())
    finished = processes.share(np.array([one is not None for one in summaries]))
    return {i: summary for i, summary in enumerate(summaries) if finished[i]}


def _finish(
    run: record.Run, progress: training.Progress, command: str, started: float | None
) -> Result | None:
    timing = run.finish(started)
    if progress.error:
        run.show.end(str(progress.error))
        return progress.error
    state = progress.state  # All processes ask, as they may have parts of it.
    phase = run.show.phase
    summary = judge(run.task, run.method, state, run.folder, timing, command, phase)
    if summary is None:
        return None
    checkpoint.keep_newest(run.folder.checkpoints)
    auroc = summary.auroc
    run.show.end("finished" if auroc is None else f"AUROC {auroc:.4f}")
    return summary


class _Group(NamedTuple):
    """Runs that one program can train."""

    numbers: list[int]
    build: Callable[..., Method]
    hyper: list[dict[str, float]]  # Arguments of `build` for each run.
    devices: training.Devices  # Devices with a lane for each run, or for one at a time.


def _groups(tasks: Sequence[Task]) -> list[_Group]:
    """Groups of runs whose hyper-parameters can be arguments of one program."""
    first = tasks[0]
    devices = _devices(first, len(tasks), len(tasks))
    names = [field.name for field in dataclasses.fields(first.hyper)]
    value = lambda task, name: getattr(task.hyper, name)
    differ = [n for n in names if len({value(task, n) for task in tasks}) > 1]
    shape = (first.config.batch_size, *first.dataset.images.shape[1:])
    traced = [
        name
        for name in differ
        if devices.lanes > 1
        and isinstance(value(first, name), float)
        and training.traceable(_builder(first), {name: value(first, name)}, shape)
    ]
    groups = {}
    for i, task in enumerate(tasks):
        rest = tuple(value(task, name) for name in differ if name not in traced)
        key = (*rest, task.config.batch_size, task.standardization)
        groups.setdefault(key, []).append(i)
    return [
        _Group(
            numbers,
            _builder(tasks[numbers[0]]),
            [{name: value(tasks[i], name) for name in traced} for i in numbers],
            _devices(first, len(numbers), len(tasks)),
        )
        for numbers in groups.values()
    ]


def _builder(task: Task) -> Callable[..., Method]:
    """Function `build(**hyper)` of the task's method, of some hyper-parameters."""
    standard, config = task.standardization, task.config
    # Fields that differ between runs that share a program are blank.
    shared = dataclasses.replace(
        config, normal_class="", anomalous_class="", split_seed=0, batch_size=1
    )

    def build(**hyper) -> Method:
        # Traced values have no hash.
        make = build_method.__wrapped__ if hyper else build_method
        changed = dataclasses.replace(task.hyper, **hyper)
        return make(shared, changed, standard)

    return build


def _devices(task: Task, runs: int, all_runs: int) -> training.Devices:
    """Devices for so many of all runs, which they share out.

    They share the batches of one run alone, of runs whose images are streamed, and of
    runs with a pass over the images.
    """
    devices = training.choose_devices(task.execution.devices)
    if all_runs == 1 or _streamed(task) or _builder(task)().computes:
        return training.Devices(devices)
    width = training.width(runs, len(devices), task.execution.models_at_once)
    return training.ModelDevices(devices, width=width)


def _streamed(task: Task) -> bool:
    """Whether images are read as they are needed, instead of kept on the devices.

    They are where there are too many, or each is seen once, in a pass.
    """
    many = task.dataset.images.nbytes > task.execution.memory_budget_mb * 2**20
    return many or not _builder(task)().descends


def _model(task: Task, **fields) -> training.Model:
    return training.Model(jax.random.key(task.seed), task.split.train, **fields)


def _train(
    group: _Group,
    tasks: Sequence[Task],
    runs: Mapping[int, record.Run],
) -> Iterator[tuple[int, training.Progress]]:
    """Trains a group's runs that are not finished; yields number and progress."""
    left = [
        (number, hyper)
        for number, hyper in zip(group.numbers, group.hyper, strict=True)
        if number in runs
    ]
    config, images = tasks[0].config, tasks[0].dataset.images
    models = [
        _model(tasks[number], state=runs[number].open, hyper=hyper)
        for number, hyper in left
    ]
    for index, progress in training.sweep(
        group.build,
        images,
        models,
        epochs=config.epochs,
        steps=config.steps,
        schedule=training.Schedule(
            config.schedule,
            config.warmup_steps,
            config.decay_factor,
            config.decay_every,
        ),
        batch_size=tasks[group.numbers[0]].config.batch_size,
        devices=group.devices,
        streamed=_streamed(tasks[0]),
    ):
        yield left[index][0], progress
