"""What all parts share: commands in processes, their inputs, and rows of results."""

import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).parents[2]
RESULTS = ROOT / "tests" / "endurance.json"
TINY = (
    "--method=autoencoder",
    "--set=hyper.features=2",
    "--set=hyper.latent=3",
    "--set=batch_size=8",
    "--set=models_at_once=2",
)
LIMIT = 120  # Seconds after which a command hangs.


@dataclasses.dataclass
class Tally:
    """Counts of one case, of which the faults must all be 0."""

    part: str
    case: str
    faults: dict[str, int]
    outcomes: Counter = dataclasses.field(default_factory=Counter)
    tried: int = 0

    def fault(self, kind: str, what: str, errors: str = "") -> None:
        """Counts a fault and prints what shows it."""
        self.faults[kind] += 1
        shown = f"{what[:500]}: {_short(errors)}" if errors else what[:500]
        print(f"FAULT {self.part}, {self.case}: {kind}: {shown}", flush=True)

    def progress(self) -> None:
        """Prints one line."""
        print(f"{self.part}, {self.case}: {self.tried}  {self.words()}", flush=True)

    def words(self) -> str:
        """The counts as words."""
        counts = [*sorted(self.outcomes.items()), *self.faults.items()]
        return ", ".join(f"{count} {name}" for name, count in counts)


def record(tally: Tally, seed: int, seconds: float) -> None:
    """Puts a row of results in the place of the case's earlier one."""
    from ocjax.runs import environment

    told = environment.describe()
    row = {
        "part": tally.part,
        "case": tally.case,
        "tried": tally.tried,
        "outcomes": dict(sorted(tally.outcomes.items())),
        "faults": tally.faults,
        "seed": seed,
        "seconds": round(seconds),
        "date": time.strftime("%Y-%m-%d"),
        "commit": told["commit"],
        "machine": f"{told['cores']} cores, {told['system']}, Python {told['python']}",
    }
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    same = lambda x: (x["part"], x["case"]) == (row["part"], row["case"])
    places = [i for i, x in enumerate(rows) if same(x)]
    if places:
        rows[places[0]] = row
    else:
        rows.append(row)
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n")


def environment(folder: pathlib.Path, **more: str) -> dict[str, str]:
    """Of commands: ocjax from here, caches below `folder` that they share."""
    return (
        os.environ
        | {
            "PYTHONPATH": str(ROOT),
            "JAX_COMPILATION_CACHE_DIR": str(folder / "compiled"),
            "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
            "OCJAX_CACHE": str(folder / "cache"),
        }
        | more
    )


class Command:
    """A command in a process of its own, whose output goes to files."""

    def __init__(
        self, arguments: Sequence[str], folder: pathlib.Path, **environment_: str
    ):
        """Starts it in `folder`."""
        self._out, self._err = (folder / f"{id(self)}.{x}" for x in ("out", "err"))
        with open(self._out, "wb") as out, open(self._err, "wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=folder,
                env=environment(folder, **environment_),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def wait(self, seconds: float) -> int | None:
        """The exit code, negative for a signal; None while it runs on."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> None:
        """Kills it, and what it has started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def said(self) -> tuple[str, str]:
        """Standard output and standard error; forgets both."""
        texts = self.output(), self.errors()
        self._out.unlink()
        self._err.unlink()
        return texts

    def output(self) -> str:
        """Standard output until now."""
        return self._out.read_text("utf-8", "replace")

    def errors(self) -> str:
        """Standard error until now."""
        return self._err.read_text("utf-8", "replace")


def run(arguments: Sequence[str], folder: pathlib.Path, **environment_: str):
    """Runs a command to its end: (exit code or None for a hang, errors)."""
    command = Command(arguments, folder, **environment_)
    code = command.wait(LIMIT)
    command.end()
    return code, command.said()[1]


def has_traceback(errors: str) -> bool:
    """Whether Python or a library has printed where in its source something failed."""
    return "Traceback (most recent call last)" in errors or "Fatal Python" in errors


def last_line(errors: str) -> str:
    """The last line that is not empty."""
    lines = [line for line in re.split(r"[\r\n]+", errors) if line.strip()]
    return lines[-1][:300] if lines else ""


def _short(errors: str) -> str:
    """Where in ocjax something failed, and the last line."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    places = [line for line in lines if line.startswith("File") and "/ocjax/" in line]
    return " | ".join([*places[-2:], *lines[-1:]])[:600]


def make_pictures(folder: pathlib.Path, count: int = 40, side: int = 32) -> None:
    """Writes grey noise, each picture another."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        pixels = np.random.default_rng(i).integers(0, 256, (side, side), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:03d}.png")


def contents(run_folder: pathlib.Path) -> Mapping[str, bytes]:
    """What of a finished run must not depend on how often it was stopped.

    Every array of the last checkpoint, scores, and every logged loss.
    """
    import jax

    from ocjax.inference.run_folder import trained

    found = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(trained(run_folder).state):
        array = np.asarray(leaf)
        name = jax.tree_util.keystr(path)
        found[name] = f"{array.dtype}{array.shape}".encode() + array.tobytes()
    for name in ("scores.csv", "held_out.csv"):
        found[name] = (run_folder / "eval" / name).read_bytes()
    timing = ("seconds", "images_per_second")
    lines = (run_folder / "metrics.jsonl").read_text().splitlines()
    rows = [{k: v for k, v in json.loads(x).items() if k not in timing} for x in lines]
    found["metrics.jsonl"] = json.dumps(rows).encode()
    return found


def differing(one: Mapping[str, bytes], other: Mapping[str, bytes]) -> list[str]:
    """Names of what differs in a bit."""
    return sorted(k for k in one.keys() | other.keys() if one.get(k) != other.get(k))
