"""Training in a run folder: logged, saved, resumed, stopped on request."""

import functools
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ocjax import data, evaluation, training
from ocjax.evaluation import synthetic
from ocjax.methods import Method, State
from ocjax.runs import convergence, health
from ocjax.runs.display import Display, say
from ocjax.runs.folder import RunFolder
from ocjax.runs.log import MetricsLog
from ocjax.runs.paper_code import BestEpoch
from ocjax.runs.summary import Training
from ocjax.runs.task import Task
from ocjax.training import processes
from ocjax.training.checkpoint import Checkpoints

MONITORED = 20  # Number of looks at the held-out normals in a run, about.
SPOILED = 128  # Most held-out normals that are spoiled at each look.


class Run:
    """A run in its folder: restored, logged, saved."""

    def __init__(
        self,
        method: Method,
        task: Task,
        folder: RunFolder,
        display: Display,
        name: str,
    ):
        """Nothing is read or written yet.

        Args:
          method: method on one device, for held-out images.
          task: data and configuration.
          folder: folder of logs and checkpoints.
          display: display of the run's progress.
          name: name of the run there; "" for one alone.
        """
        self.method, self.task, self.folder = method, task, folder
        self._first_step_at = None  # `time.monotonic()` after the first step.
        config = task.config
        spans = training.spans(
            method, len(task.split.train), task.budget, config.batch_size
        )
        self._last_stage = spans[-1]
        self._compile_seconds = 0.0
        self._writes = processes.primary()
        self.is_open = False
        self._checkpoints = self._progress = self._saved = None
        self._log: Any = None  # Until a state is restored.
        epochs = sum(span.epochs for span in spans)
        self.show = display.add(name, epochs, spans[-1].end)

    def open(self) -> State | None:
        """Begins, or goes on; returns the newest state in the folder, if there is one.

        Raises:
          InputError: there are checkpoints, but none is whole.
        """
        images = self.task.dataset.images
        sample = jnp.zeros((1, *images.shape[1:]))
        like = jax.eval_shape(jax.jit(self.method.init), jax.random.key(0), sample)
        self.is_open, self._last_save = True, time.monotonic()
        state = None
        if self._writes:
            self._checkpoints = Checkpoints(self.folder.checkpoints)
            state = self._checkpoints.restore(like, self.method.computes)
        state = _shared(state, like)
        step = 0 if state is None else int(state.step)
        if self._writes:
            self.show.say(self.task.contents())
        self.show.begin(step)
        if self._writes:
            if step:
                say(f"Resuming {self.folder.path} after step {step}.")
            rows = self.folder.keep_metrics(step)
            self._seconds = rows[-1].get("seconds", 0.0) if rows else 0.0
            self._log = MetricsLog(self.folder, step)
            self._watch = Watch(
                self.method, self.task, self.folder, self._last_stage, rows
            )
        return state

    def write(self, progress: training.Progress) -> None:
        """Logs every so many steps; looks and saves after an epoch where it is due."""
        if not progress.count:
            self._compile_seconds += progress.seconds
            if progress.done:
                self.save()
            else:
                self._stop_converged(progress)  # In the process before this one.
        elif not progress.error:
            self._progress = progress
            self._first_step_at = self._first_step_at or time.monotonic()
            if self._writes:
                self._log_steps(progress)
            epochs, ends = progress.epoch + 1, progress.ends_epoch
            first = self._last_stage.first_epoch
            if ends and progress.epoch >= first:
                self._look(progress, epochs - first)
                self._stop_converged(progress)
            every = self.task.execution.checkpoint_epochs
            if progress.done or (ends and every and epochs % every == 0):
                self.save()

    def _stop_converged(self, progress: training.Progress) -> None:
        """Ends training where it has converged, in all processes."""
        converged = self._writes and self._watch.converged
        if not progress.done and processes.agree(converged):
            progress.stop()

    @property
    def is_late(self) -> bool:
        """Whether the last save is longer ago than it should be."""
        seconds = self.task.execution.checkpoint_seconds
        return bool(seconds) and time.monotonic() - self._last_save > seconds

    def save(self) -> int:
        """Saves the state of the run, once; returns the number of steps taken."""
        progress = self._progress
        if progress is not None and progress.step != self._saved:
            state = progress.state  # All processes ask, as they may have parts of it.
            if self._checkpoints is not None:
                self._checkpoints.save(state)
            self._saved, self._last_save = progress.step, time.monotonic()
        return self.show.done

    def close(self) -> None:
        """Finishes writing, also when training failed."""
        checkpoints, self.is_open, self._checkpoints = self._checkpoints, False, None
        if checkpoints is not None:
            try:
                checkpoints.close()
            finally:
                if self._log is not None:
                    self._log.close()

    def finish(self, started: float | None) -> Training | None:
        """Ends training.

        Args:
          started: `time.monotonic()` when the process started.

        Returns:
          Size, speed and times of training; None in processes that do not write.
        """
        self.close()
        self._progress = None  # Nobody needs its state any more.
        if not self._writes:
            return None
        first = self._first_step_at
        rows = self.folder.metrics()
        rates = [r["images_per_second"] for r in rows if "images_per_second" in r]
        return Training(
            train_normals=len(self.task.split.train),
            steps=self.show.done,
            images_per_second=float(np.median(rates)) if rates else None,
            compile_seconds=round(self._compile_seconds, 2),
            train_seconds=round(self._seconds, 2),
            first_step_seconds=round(first - started, 2) if first and started else None,
        )

    def _log_steps(self, progress: training.Progress) -> None:
        config = self.task.config
        count = progress.count
        images = min(count * config.batch_size, len(self.task.split.train))
        rate = images / progress.seconds
        self._seconds += progress.seconds
        shared = {
            "epoch": progress.epoch + 1,
            "seconds": round(self._seconds, 3),
            "images_per_second": round(rate, 1),
        }
        for i in range(count):
            step = progress.step - count + i + 1
            if step % self.task.execution.log_every == 0:
                terms = {name: float(v[i]) for name, v in progress.metrics.items()}
                self._log.write({"step": step, **shared, **terms})
        loss = None
        if progress.metrics:
            loss = float(progress.metrics[self._main_loss(progress.metrics)].mean())
        error = self._watch.held_out_error
        self.show.update(progress.step, progress.epoch, loss, error, rate)

    def _main_loss(self, names: Collection[str]) -> str:
        """Name of the loss that stands for all in the progress line."""
        losses = ["generator", *self.method.objectives]  # A generator's says most.
        return next((name for name in losses if name in names), next(iter(names)))

    def _look(self, progress: training.Progress, epoch: int) -> None:
        state = progress.state  # All processes ask, as they may have parts of it.
        measures = {}
        if self._writes:
            measures = self._watch.look(state, epoch, last=progress.done)
        if measures:
            shared = {"epoch": progress.epoch + 1, "seconds": round(self._seconds, 3)}
            self._log.write({"step": progress.step, **shared, **measures})


class Profile:
    """A trace of some steps, by JAX's profiler."""

    def __init__(self, folder: RunFolder, steps: int):
        """Traces `steps` or more, those after the first compiled call; none for 0."""
        self._path, self._left, self._on = folder.path / "profile", steps, False

    def look(self, progress: training.Progress) -> None:
        """Begins, or ends, after the steps of a progress."""
        if not progress.count or not self._left:
            return
        if self._on:
            self._left = max(0, self._left - progress.count)
        if not self._left or (self._on and progress.done):
            self.close()
        elif not self._on and not progress.done:
            self._path.mkdir(parents=True, exist_ok=True)
            jax.profiler.start_trace(self._path)
            self._on = True

    def close(self) -> None:
        """Writes the trace."""
        if self._on:
            jax.profiler.stop_trace()
            say(f"A trace is in {self._path}; see it with XProf or Perfetto.")
        self._left, self._on = 0, False


def _shared(state: State | None, like: State) -> State | None:
    """State that process 0 restored, on all processes."""
    if not processes.agree(state is not None):
        return None
    known: State = state or jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), like)
    mappings = {"params": known.params, "stats": known.stats, "sums": known.sums}
    opt, step = processes.share((known.opt, known.step))
    networks = processes.share_mappings(mappings)
    return State(
        networks["params"], networks["stats"], opt, step, sums=networks["sums"]
    )


class Watch:
    """Measures of states after an epoch, on held-out normals, which train nothing.

    Where the configuration asks for a leak of published code, at the test images too.

    Attributes:
      held_out_error: mean squared error per pixel, in [-1, 1], of reconstructions at
        the last look; None before, and of a method that does not reconstruct.
    """

    def __init__(
        self,
        method: Method,
        task: Task,
        folder: RunFolder,
        span: training.Span,
        rows: Sequence[Mapping[str, float]],
    ):
        """Prepares to look.

        Args:
          method: method that trains.
          task: data and configuration.
          folder: folder of the run.
          span: last stage, in which it looks.
          rows: what was logged before.
        """
        self._method, self._task = method, task
        self._until_converged = task.config.until == "converged"
        self._every = max(1, span.epochs // MONITORED)
        if self._until_converged:
            self._every = -(-convergence.LOOK_STEPS // span.steps_per_epoch)
        images, split, flags = task.dataset.images, task.split, task.config.paper_code
        self._held_out = images[split.validation]
        self._watched, self._bound = "held_out_loss", None
        if method.error is None:
            self._watched = "held_out_error"
            if self._until_converged:
                self._bound = health.mean_image_error(
                    images[split.train[:1000]], self._held_out
                )
        self._curve = [row[self._watched] for row in rows if self._watched in row]
        self._diagnose = method.diagnose and jax.jit(method.diagnose)
        self._best = BestEpoch(task, folder) if flags.best_epoch else None
        self.held_out_error: float | None = None

    @property
    def converged(self) -> bool:
        """Whether training may end, where it is to end when it has converged."""
        return self._until_converged and convergence.converged(self._curve, self._bound)

    def look(self, state: State, epoch: int, *, last: bool) -> dict[str, float]:
        """Measures after `epoch` of the last stage, counted from 1, by name."""
        row = {}
        if (last or epoch % self._every == 0) and len(self._held_out):
            row |= self._held_out_row(state)
            if self._diagnose:
                batch = jnp.asarray(self._held_out[: self._task.config.batch_size])
                key = jax.random.key(epoch)
                row |= self._diagnose(state, data.to_float(batch), key)
        if self._best:
            row["test_auroc"] = self._best.look(self._method, state)
        return {name: float(value) for name, value in row.items()}

    def _held_out_row(self, state: State) -> dict[str, float]:
        scores = evaluation.score(self._method, state, self._held_out)
        row = {"held_out_score": float(scores.mean())}
        learned = self._method.descends and int(state.step) >= health.FEWEST_STEPS
        if learned and len(self._held_out) > 1:
            score = functools.partial(evaluation.score, self._method, state)
            spoiled = synthetic.aurocs(
                score, self._held_out[:SPOILED], kinds=["erased"]
            )
            row["erased_auroc"] = spoiled["erased"]
        if self._method.error is not None:
            losses = data.map_images(
                self._method.error, self._held_out, arguments=(state,)
            )
            row["held_out_loss"] = float(losses.mean())
        if self._method.reconstruct is not None:
            held_out = health.reconstruction(self._method, state, self._held_out)
            self.held_out_error = float(held_out.errors.mean())
            row["held_out_error"] = self.held_out_error
        if self._watched in row:
            self._curve.append(row[self._watched])
        return row
