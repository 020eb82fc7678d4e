"""Checkpoints of a state by Orbax, whole or not at all."""

import pathlib
import zlib
from typing import Any

import jax
import numpy as np
from absl import logging

from ocjax._checks import InputError
from ocjax.methods.base import State


class Checkpoints:
    """The newest few states in a folder, one subfolder a step.

    A state is saved with a checksum of every array, and restored only if all agree;
    a damaged checkpoint is set aside and the one before it restored. Use it as a
    context manager: leaving it waits until all is written. Of several processes,
    process 0 alone uses it.
    """

    def __init__(self, folder: pathlib.Path, *, keep: int = 3):
        """Opens `folder`, creating it if need be; the newest `keep` stay."""
        import orbax.checkpoint as ocp

        self._ocp = ocp
        self._folder = pathlib.Path(folder).absolute()
        self._folder.mkdir(parents=True, exist_ok=True)
        alone = ocp.options.MultiprocessingOptions(
            primary_host=0, active_processes={0}, barrier_sync_key_prefix="ocjax"
        )
        self._manager = ocp.CheckpointManager(
            self._folder,
            options=ocp.CheckpointManagerOptions(
                max_to_keep=keep, create=False, multiprocessing_options=alone
            ),
        )

    def save(self, state: State) -> None:
        """Saves `state` under its step; returns before the files are written.

        Raises:
          FloatingPointError: a parameter is not finite; nothing is saved.
        """
        state = jax.device_get(state)
        sums = {name: zlib.crc32(array.tobytes()) for name, array in _named(state)}
        for name, array in _named(state.params):
            if not np.isfinite(array).all():
                raise FloatingPointError(f"Not finite: parameter {name}.")
        self._manager.save(
            int(state.step),
            args=self._ocp.args.Composite(
                state=self._ocp.args.StandardSave(state._asdict()),
                checksums=self._ocp.args.JsonSave(sums),
            ),
        )

    def restore(self, like: State) -> State | None:
        """The newest whole state, or None if there is no checkpoint.

        Args:
          like: a state (or its shapes) of the same structure.

        Raises:
          InputError: there are checkpoints, but none is whole.
        """
        damaged = {}
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                state = self._read(step, like)
            except Exception as error:  # Orbax raises whatever its storage met.
                damaged[step] = error
                continue
            for newer, error in damaged.items():
                self._set_aside(newer, error)
            return state
        if damaged:
            raise InputError(
                f"No checkpoint in {self._folder} can be read; remove the run folder "
                "or name another --workdir."
            )
        return None

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_) -> None:
        """Closes."""
        self.close()

    def close(self) -> None:
        """Finishes writing, also when training failed, and lets go of the folder."""
        self._manager.close()

    def _read(self, step: int, like: State) -> State:
        host = lambda x: np.zeros(x.shape, x.dtype)
        read: Any = self._manager.restore(
            step,
            args=self._ocp.args.Composite(
                state=self._ocp.args.StandardRestore(
                    jax.tree.map(host, like)._asdict()
                ),
                checksums=self._ocp.args.JsonRestore(),
            ),
        )
        state = State(**read.state)
        sums = {name: zlib.crc32(array.tobytes()) for name, array in _named(state)}
        wrong = [name for name in sums if sums[name] != read.checksums.get(name)]
        if wrong:
            raise ValueError(f"checksum of {wrong[0]} differs")
        return state

    def _set_aside(self, step: int, error: Exception) -> None:
        folder = self._folder.parent / "damaged_checkpoints"
        folder.mkdir(exist_ok=True)
        earlier = len([*folder.glob(f"{step}*")])  # Damaged at this step before.
        aside = folder / (f"{step}-{earlier}" if earlier else str(step))
        reason = str(error).strip().splitlines()
        logging.warning(
            "Checkpoint %s is damaged (%s); set aside as %s.",
            self._folder / str(step),
            reason[0][:200] if reason else type(error).__name__,
            aside,
        )
        (self._folder / str(step)).rename(aside)
        self._manager.reload()


def _named(tree: Any) -> list[tuple[str, np.ndarray]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [(jax.tree_util.keystr(path), np.asarray(leaf)) for path, leaf in leaves]
