"""Environment of a run: versions, commit, devices."""

import contextlib
import functools
import glob
import importlib.metadata
import os
import pathlib
import platform
import re
import subprocess
import sys
import warnings
from typing import Any

from ocjax._checks import InputError
from ocjax.data import cache

PACKAGES = (
    "ocjax",
    "jax",
    "flax",
    "optax",
    "orbax-checkpoint",
    "numpy",
    "scikit-learn",
)


_DAMAGED = re.compile(
    r"Error (?:reading|writing) persistent compilation cache entry for '([^']+)'"
)


def describe() -> dict[str, Any]:
    """Versions of packages, the commit of ocjax, and the devices."""
    import jax

    devices = jax.local_devices()
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "device": f"{len(devices)} x {devices[0].device_kind} ({devices[0].platform})",
        "commit": commit(),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def keep_programs() -> None:
    """Keeps compiled programs in the user's cache, so that a second start is quick.

    JAX is not imported for it: not every command needs JAX. Without a cache that can be
    written, programs are compiled each time.
    """
    settings: dict[str, str | int] = {"jax_persistent_cache_min_compile_time_secs": 0}
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        try:
            folder = cache.folder()
        except InputError:  # Reading data tells of it.
            return
        if folder is None or not _writable(folder):
            return
        settings["jax_compilation_cache_dir"] = str(folder / "compiled")
    chosen = settings.get("jax_compilation_cache_dir")
    remove_damaged_programs(str(chosen or os.environ["JAX_COMPILATION_CACHE_DIR"]))
    for name, value in settings.items():
        if "jax" in sys.modules:
            sys.modules["jax"].config.update(name, value)
        else:  # JAX reads it when it is imported.
            os.environ[name.upper()] = str(value)


def remove_damaged_programs(folder: str | os.PathLike) -> None:
    """Removes a compiled program that JAX warns about, instead of the warning.

    A killed process, or a full disk, leaves half a program, which JAX would try to read
    at every start.
    """
    before = warnings.showwarning

    def show(message, category, *place, **options):
        match = _DAMAGED.match(str(message))
        if match is None:
            before(message, category, *place, **options)
            return
        for path in pathlib.Path(folder).glob(f"{glob.escape(match[1])}-*"):
            with contextlib.suppress(OSError):
                path.unlink()

    warnings.showwarning = show


def _writable(folder: pathlib.Path) -> bool:
    """Whether a folder, there or not yet, can be written to."""
    for path in (folder, *folder.parents):
        if path.exists():
            return path.is_dir() and os.access(path, os.W_OK | os.X_OK)
    return False


@functools.cache
def commit() -> str | None:
    """Commit of ocjax's source, with `+` if it was changed; None if unknown."""
    folder = pathlib.Path(__file__).parents[1]

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(folder), *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        if git("ls-files", "__init__.py") == "":
            return None  # The repository around it is somebody else's.
        changed = git("status", "--porcelain", "--untracked-files=no", ".")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
