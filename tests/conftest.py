"""Settings that every test runs under."""

import os
import pathlib
import signal
import tempfile

# Read when XLA starts, also in processes that tests start. Without these emitters a
# network that is as small as tests' compiles in less than half of the time.
_FLAGS = "--xla_cpu_use_fusion_emitters=false"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_FLAGS}".strip()

import threading  # noqa: E402

import hypothesis  # noqa: E402
import jax  # noqa: E402
import pytest  # noqa: E402
from jax._src.interpreters import mlir  # noqa: E402

# Jobs in the background of a shell ignore it, and so would the processes they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Programs are compiled once for all tests, and for the processes that they start.
CACHE = str(pathlib.Path(tempfile.gettempdir()) / "ocjax-tests")
os.environ["JAX_COMPILATION_CACHE_DIR"] = CACHE
jax.config.update("jax_compilation_cache_dir", CACHE)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
# Compiling is most of what the tests do; this halves it.
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
jax.config.update("jax_disable_most_optimizations", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)
# A third of the time to compile a small program goes into a context of its own, which
# JAX makes for each; here a thread has one for all.
_made = threading.local()


def _context(make=mlir.make_ir_context):
    if not hasattr(_made, "context"):
        _made.context = make()
    return _made.context


mlir.make_ir_context = _context
# No test is about time, and what compiles is slow at first.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


# Folders that take longest; begun first, so that no worker waits at the end.
FIRST = ("training", "methods", "runs", "docs")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.parent.name not in FIRST)
