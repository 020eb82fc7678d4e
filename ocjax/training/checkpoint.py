"""Checkpoints of a state by Orbax, whole or not at all."""

import contextlib
import errno
import functools
import logging as standard_logging
import os
import pathlib
import re
import shutil
import sys
import tempfile
import zlib
from collections.abc import Collection, Iterator
from typing import Any

import jax
import numpy as np
from absl import logging

from ocjax._checks import InputError
from ocjax.methods.base import State


class Checkpoints:
    """Newest few states in a folder, one subfolder a step.

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
        self._opened = contextlib.ExitStack()
        _say_errors_once()
        alone = ocp.options.MultiprocessingOptions(
            primary_host=0, active_processes={0}, barrier_sync_key_prefix="ocjax"
        )
        self._manager = ocp.CheckpointManager(
            self._opened.enter_context(_plain(self._folder)),
            options=ocp.CheckpointManagerOptions(
                max_to_keep=keep, create=False, multiprocessing_options=alone
            ),
        )

    def save(self, state: State) -> None:
        """Saves `state` under its step; returns before the files are written.

        Raises:
          OSError: this state, or the one before, cannot be written.
        """
        state = jax.device_get(state)
        sums = {name: zlib.crc32(array.tobytes()) for name, array in _named(state)}
        with self._writing():
            self._check_room(sum(array.nbytes for array in jax.tree.leaves(state)))
            self._manager.save(
                int(state.step),
                args=self._ocp.args.Composite(
                    state=self._ocp.args.StandardSave(_fields(state)),
                    checksums=self._ocp.args.JsonSave(sums),
                ),
            )

    def restore(self, like: State, computes: Collection[str] = ()) -> State | None:
        """Reads the newest whole state, or None if there is no checkpoint.

        Args:
          like: first state (or its shapes) of the same method.
          computes: names of the method's parameters whose shapes depend on the images
            that trained. Sums of a pass are restored as they are.

        Raises:
          InputError: there are checkpoints, but none is whole.
        """
        damaged = {}
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                state = self._read(step, like, computes)
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
        """Finishes writing, also when training failed, and lets go of the folder.

        Raises:
          OSError: the last state cannot be written; the ones before stay.
        """
        with self._opened, self._writing():
            self._manager.close()

    def _check_room(self, size: int) -> None:
        """Raises `OSError` where the disk has less room, as Orbax would halfway."""
        if shutil.disk_usage(self._folder).free < 1.1 * size + 2**20:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._folder))

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Turns errors of the storage library into those of the system in them."""
        try:
            yield
        except Exception as error:
            number = re.search(r"(?:OS error |os_error_code=')(\d+)", str(error))
            if number is None and not isinstance(error, OSError):
                raise
            for unfinished in self._folder.glob("*.orbax-checkpoint-tmp*"):
                shutil.rmtree(unfinished, ignore_errors=True)
            code = int(number[1]) if number else error.errno or errno.EIO  # pyright: ignore
            raise OSError(code, os.strerror(code), str(self._folder)) from error

    def _read(self, step: int, like: State, computes: Collection[str]) -> State:
        host = lambda x: np.zeros(x.shape, x.dtype)
        kept: Any = self._kept(step) if computes else {}
        if computes:
            computed = {name: kept["params"][name] for name in computes}
            like = like._replace(
                params={**like.params, **computed}, sums=kept.get("sums", {})
            )
        read: Any = self._manager.restore(
            step,
            args=self._ocp.args.Composite(
                state=self._ocp.args.StandardRestore(_fields(jax.tree.map(host, like))),
                checksums=self._ocp.args.JsonRestore(),
            ),
        )
        state = State(**read.state)
        shapes = lambda tree: [np.shape(leaf) for leaf in jax.tree.leaves(tree)]
        if shapes(state) != shapes(like):
            raise ValueError("its parameters are those of other networks")
        sums = {name: zlib.crc32(array.tobytes()) for name, array in _named(state)}
        wrong = [name for name in sums if sums[name] != read.checksums.get(name)]
        if wrong:
            raise ValueError(f"checksum of {wrong[0]} differs")
        return state

    def _kept(self, step: int) -> Any:
        """Shapes and dtypes of the arrays of a checkpoint, as nested mappings."""
        folder: Any = self._manager.directory / str(step) / "state"
        return self._ocp.StandardCheckpointHandler().metadata(folder).tree

    def _set_aside(self, step: int, error: Exception) -> None:
        folder = self._folder.parent / "damaged_checkpoints"
        folder.mkdir(exist_ok=True)
        earlier = len([*folder.glob(f"{step}*")])  # Number set aside at this step.
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


def keep_newest(folder: pathlib.Path) -> None:
    """Removes all checkpoints of a folder but the newest, which a finished run is."""
    steps = [path for path in folder.iterdir() if path.name.isdecimal()]
    for path in sorted(steps, key=lambda path: int(path.name))[:-1]:
        shutil.rmtree(path)


@contextlib.contextmanager
def _plain(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields the folder under a path that the storage library can read back.

    It takes brackets and backslashes in a path for its own signs, and knows no names
    that are not UTF-8.
    """
    folder = folder.absolute()
    text = str(folder)
    if not re.search(r"[\[\]\\\ud800-\udfff]", text):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="ocjax-") as temporary:
        link = pathlib.Path(temporary, "folder")
        link.symlink_to(folder, target_is_directory=True)
        yield link


@functools.cache
def _say_errors_once() -> None:
    """Silences tracebacks that the library prints of errors that it raises too."""
    logger = standard_logging.getLogger("absl")
    logger.addFilter(lambda log: not (log.exc_info and "orbax" in log.pathname))
    before = sys.unraisablehook

    def hook(unraisable):
        # Reads and writes that were on their way when another failed raise this.
        if str(unraisable.exc_value) != "Event loop is closed":
            before(unraisable)

    sys.unraisablehook = hook


def _fields(state: State) -> dict[str, Any]:
    """What is kept of a state: all but what it has in a step alone."""
    return {name: part for name, part in state._asdict().items() if name != "rate"}


def _named(tree: Any) -> list[tuple[str, np.ndarray]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [(jax.tree_util.keystr(path), np.asarray(leaf)) for path, leaf in leaves]
