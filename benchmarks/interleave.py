"""Measures candidates in turn, so that a noisy machine is equally unkind to all.

Speeds differ between hours and machines; the ratio of two candidates measured
seconds apart differs far less. So ratios are taken round by round.
"""

import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import shlex
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median

from ocjax import _markdown

RESULTS = pathlib.Path(__file__).parent / "results"

Rows = Sequence[Mapping[str, str | float]]


def interleaved(
    candidates: Mapping[str, Callable[[], float]], *, rounds: int, seconds: float
) -> dict[str, list[float]]:
    """Measures every candidate once a round, in the order given.

    Args:
      candidates: functions that do some work, wait until it is done, and return how
        many images they processed. Each is called once beforehand, to compile.
      rounds: turns of each candidate.
      seconds: least length of a turn; the function is called until it is over.

    Returns:
      Images a second, one number a round, for each candidate.
    """
    for work in candidates.values():
        work()
    rates = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, work in candidates.items():
            rates[name].append(_rate(work, seconds))
    return rates


def _rate(work: Callable[[], float], seconds: float) -> float:
    images, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        images += work()
    return images / elapsed


def ratios(a: Sequence[float], b: Sequence[float]) -> list[float]:
    """How many times `b` is `a`, round by round."""
    return [x / y for x, y in zip(a, b, strict=True)]


def compare(rates: Mapping[str, Sequence[float]], *, baselines: Sequence[str]) -> Rows:
    """One row a candidate: its median rate, and its ratio to each baseline."""
    rows = []
    for name, rate in rates.items():
        row: dict[str, str | float] = {"": name, "images/s": median(rate)}
        for baseline in baselines:
            ratio = ratios(rate, rates[baseline])
            row[f"ratio to {baseline}"] = median(ratio)
            row[f"lowest to highest ({baseline})"] = span(ratio)
        rows.append(row)
    return rows


def span(ratios: Sequence[float]) -> str:
    """Lowest and highest, "0.95 to 1.07"."""
    return f"{min(ratios):.2f} to {max(ratios):.2f}"


def table(rows: Rows) -> str:
    """Rows with equal keys as a Markdown table."""
    return _markdown.table(list(rows[0]), [map(_cell, row.values()) for row in rows])


def _cell(value: str | float) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return str(value)


def machine() -> dict[str, str | int]:
    """Where this runs: processor, cores, versions and JAX's device."""
    import jax  # Here, because startup.py needs a process without it.

    cpuinfo = pathlib.Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":")[1].strip() for line in lines if "model name" in line]
    return {
        "CPU": models[0] if models else platform.processor(),
        "cores": cores(),
        "device": jax.devices()[0].device_kind,
        "python": platform.python_version(),
        "jax": jax.__version__,
        "torch": importlib.metadata.version("torch"),
    }


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def write(name: str, title: str, tables: Mapping[str, Rows], **facts) -> None:
    """Prints `tables` and writes them to `results/<name>.json`.

    Args:
      name: of the file.
      title: what was measured.
      tables: caption -> rows.
      **facts: settings and single measurements, kept beside the tables.
    """
    for caption, rows in tables.items():
        print(f"\n{caption}\n\n{table(rows)}")
    program = pathlib.Path(sys.argv[0]).name
    result = {
        "title": title,
        "command": shlex.join(["python", f"benchmarks/{program}", *sys.argv[1:]]),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": machine(),
        "tables": tables,
        **facts,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
