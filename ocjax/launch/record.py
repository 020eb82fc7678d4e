"""Training in a run folder: logged, saved, resumed, stopped on request."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ocjax import data, evaluation, training
from ocjax.launch.config import RunConfig
from ocjax.launch.display import Display, say
from ocjax.launch.folder import MetricsLog, RunFolder
from ocjax.launch.paper_code import BestEpoch
from ocjax.launch.task import Task
from ocjax.methods import Method, State
from ocjax.training.checkpoint import Checkpoints

MONITORED = 20  # About how often a run looks at the held-out normals.


class Stopped(Exception):
    """Training was asked to stop, and saved its state."""


class Trained(NamedTuple):
    """A trained state, and what it took."""

    state: State
    compile_seconds: float
    train_seconds: float  # Of all processes that worked on the run.
    images_per_second: float | None  # Median over the logged steps.
    first_step_at: float | None  # `time.monotonic()` after the first step.


def train(
    method: Method,
    watched: Method,
    task: Task,
    devices: training.Devices,
    folder: RunFolder,
) -> Trained:
    """Trains to the last epoch, from the newest checkpoint in `folder` if any.

    Args:
      method: built for `devices`.
      watched: the same built for one device, to look at held-out images with.
      task: data and configuration.
      devices: that share each batch.
      folder: where logs and checkpoints go.

    Raises:
      Stopped: SIGTERM came; the state is saved.
      InputError: there are checkpoints, but none is whole.
      training.NonFiniteError: a loss is not finite; the last checkpoint stays.
    """
    config, images = task.config, task.dataset.images[task.split.train]
    key = jax.random.key(task.seed)
    like = jax.eval_shape(method.init, key, jnp.zeros((1, *images.shape[1:])))
    with _sigterm() as stop, Checkpoints(folder.checkpoints) as checkpoints:
        state = checkpoints.restore(like)
        step = 0 if state is None else int(state.step)
        if step:
            say(f"Resuming {folder.path} after step {step}.")
        steps = training.train(
            method,
            images,
            key,
            epochs=config.epochs,
            batch_size=config.batch_size,
            state=state,
            devices=devices,
            streamed=images.nbytes > config.memory_budget_mb * 2**20,
        )
        saving = _Saving(checkpoints, config, len(images) // config.batch_size)
        with Recorder(watched, task, folder, step) as recorder:
            progress = next(steps)
            recorder.compile_seconds = progress.seconds
            for progress in steps:
                if not progress.metrics:  # A later stage begins.
                    recorder.compile_seconds += progress.seconds
                    continue
                recorder.write(progress)
                saving.write(progress, now=stop.is_set())
                if stop.is_set():
                    break
            else:
                saving.write(progress, now=True)
    if stop.is_set():
        raise Stopped(f"Stopped on request; saved after step {progress.step}.")
    rates = [
        row["images_per_second"]
        for row in folder.metrics()
        if "images_per_second" in row
    ]
    return Trained(
        progress.state,
        recorder.compile_seconds,
        recorder.seconds,
        float(np.median(rates)) if rates else None,
        recorder.first_step_at,
    )


class Recorder:
    """Writes metrics and progress, and watches the held-out normals."""

    def __init__(self, method: Method, task: Task, folder: RunFolder, step: int):
        """Goes on after `step` of training."""
        rows = folder.keep_metrics(step)
        self.seconds = rows[-1]["seconds"] if rows else 0.0
        self.compile_seconds = 0.0
        self.first_step_at = None
        self._config = config = task.config
        self._steps_per_epoch = len(task.split.train) // config.batch_size
        self._watch = Watch(method, task, folder)
        self._log = MetricsLog(folder, step)
        epochs = training.total_epochs(method, config.epochs)
        self._display = Display(epochs, self._steps_per_epoch, step)
        self._before = epochs - config.epochs  # Epochs of earlier stages.

    def __enter__(self):
        self._display.__enter__()
        return self

    def __exit__(self, *_):
        self._display.__exit__()
        self._log.close()

    def write(self, progress: training.Progress) -> None:
        """Logs every so many steps, and the held-out score after an epoch."""
        self.first_step_at = self.first_step_at or time.monotonic()
        count = len(next(iter(progress.metrics.values())))
        rate = count * self._config.batch_size / progress.seconds
        self.seconds += progress.seconds
        shared = {
            "epoch": progress.epoch + 1,
            "seconds": round(self.seconds, 3),
            "images_per_second": round(rate, 1),
        }
        for i in range(count):
            step = progress.step - count + i + 1
            if step % self._config.log_every == 0:
                terms = {name: float(v[i]) for name, v in progress.metrics.items()}
                self._log.write({"step": step, **shared, **terms})
        epochs, into = divmod(progress.step, self._steps_per_epoch)
        if into == 0 and epochs > self._before:
            found = self._watch.look(progress.state, epochs - self._before)
            if found:
                shared.pop("images_per_second")
                self._log.write({"step": progress.step, **shared, **found})
        means = {name: float(v.mean()) for name, v in progress.metrics.items()}
        self._display.update(progress.step, progress.epoch, means, rate)


class Watch:
    """Looks at a state after an epoch: at held-out normals, which train nothing.

    Where the configuration asks for a leak of published code, at the test images too.
    """

    def __init__(self, method: Method, task: Task, folder: RunFolder):
        """Prepares to look."""
        self._method, self._task = method, task
        self._every = max(1, task.config.epochs // MONITORED)
        images, split, flags = task.dataset.images, task.split, task.config.paper_code
        self._held_out = images[split.validation]
        self._diagnose = method.diagnose and jax.jit(method.diagnose)
        self._best = BestEpoch(task, folder) if flags.best_epoch else None

    def look(self, state: State, epoch: int) -> dict[str, float]:
        """What there is to say after `epoch` of the last stage, counted from 1."""
        found = {}
        if epoch % self._every == 0 and len(self._held_out):
            scores = evaluation.score(self._method, state, self._held_out)
            found["held_out_score"] = float(scores.mean())
            if self._diagnose:
                batch = jnp.asarray(self._held_out[: self._task.config.batch_size])
                key = jax.random.key(epoch)
                found |= self._diagnose(state, data.to_float(batch), key)
        if self._best:
            found["test_auroc"] = self._best.look(self._method, state)
        return {name: float(value) for name, value in found.items()}


class _Saving:
    """Saves a state when it is time to."""

    def __init__(
        self, checkpoints: Checkpoints, config: RunConfig, steps_per_epoch: int
    ):
        self._checkpoints, self._config = checkpoints, config
        self._steps_per_epoch = steps_per_epoch
        self._last = time.monotonic()

    def write(self, progress: training.Progress, now: bool) -> None:
        config = self._config
        epochs, into = divmod(progress.step, self._steps_per_epoch)
        ended = into == 0 and config.checkpoint_epochs
        waited = time.monotonic() - self._last
        late = config.checkpoint_seconds and waited > config.checkpoint_seconds
        if now or late or (ended and epochs % config.checkpoint_epochs == 0):
            self._checkpoints.save(progress.state)
            self._last = time.monotonic()


@contextlib.contextmanager
def _sigterm() -> Iterator[threading.Event]:
    """An event that SIGTERM sets meanwhile, instead of ending the process."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event  # Python lets the main thread alone handle signals.
        return
    before = signal.signal(signal.SIGTERM, lambda *_: event.set())
    try:
        yield event
    finally:
        signal.signal(signal.SIGTERM, before)
