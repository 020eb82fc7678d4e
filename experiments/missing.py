"""Makes the results that are still missing, the most valuable ones first.

    python experiments/missing.py list
    python experiments/missing.py pack --data_dir=DIR --data=DATA.zip [NAME...]
    python experiments/missing.py run --minutes=7 --data=DATA.zip --out=OUT [NAME...]
    python experiments/missing.py take OUT/lines

`missing.json` beside this file lists them. `run` makes those that are named, or all, in
the order of their value until the minutes are over: each in a process of its own, some
of them at once on an accelerator, so that compilations overlap. Every result is kept
under OUT/lines as soon as it is there, and the same command goes on where it ended.
`pack` takes the data along in one small file, for a machine that has nothing but this
code; with --data_dir `run` reads them as other programs do. `take` adds the lines to
the results of this checkout, and removes from the list what is whole.
"""

import collections
import dataclasses
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import keep
import packing
import tables
from absl import flags, logging

from ocjax import runs
from ocjax._checks import InputError, one_of
from ocjax.cli import exits
from ocjax.runs import changes, config, environment
from ocjax.runs.folder import RunFolder

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent
FILE = HERE / "missing.json"
BENCHMARKS = ROOT / "benchmarks" / "results"
TRAINING = "experiments/train.py"
SAVING = 30.0  # Seconds in which what is cut off saves its state.

FLAGS = flags.FLAGS


@dataclasses.dataclass(frozen=True)
class Entry:
    """A result that is missing.

    Attributes:
      name: name of it, and of its files.
      command: program of this checkout and its arguments, without the data's folder.
      value: how much it is wanted, more first.
      runs: number of its result lines; 0 where the program keeps a file itself.
      minutes: minutes that it took last.
      device: device that took these minutes.
    """

    name: str
    command: str
    value: int
    runs: int = 0
    minutes: float | None = None
    device: str = ""

    @property
    def file(self) -> str:
        """Name of the file of its lines, or of what a benchmark writes."""
        if self.trains:
            return f"{self.name}.jsonl"
        return re.findall(r"--name=(\w+)", self.command)[0] + ".json"

    @property
    def trains(self) -> bool:
        """Whether it is trained, by a configuration, or a benchmark."""
        return self.command.startswith(TRAINING)

    def values(self) -> dict[str, Any]:
        """Values of its configuration, without the pictures of a report."""
        _, file, *texts = shlex.split(self.command)
        values = config.from_file(ROOT / file.removeprefix("--config="))
        texts = [text.removeprefix("--config.") for text in texts]
        return changes.changed(values, [*texts, "report=False"])


def read(file: pathlib.Path, names: Sequence[str] = ()) -> list[Entry]:
    """Reads the list, or what is named of it, the most valuable first.

    Raises:
      InputError: there is no result of a name, or the file is no list.
    """
    try:
        entries = [Entry(**values) for values in json.loads(file.read_text())]
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{file} is no list of missing results: {error}.") from None
    known = [entry.name for entry in entries]
    wanted = [one_of("missing result", name, known) for name in names] or known
    entries = [entry for entry in entries if entry.name in wanted]
    return sorted(entries, key=lambda entry: -entry.value)


def write(file: pathlib.Path, entries: Sequence[Entry]) -> None:
    """Writes the list, one result a line."""
    defaults = {field.name: field.default for field in dataclasses.fields(Entry)}
    lines = []
    for entry in entries:
        values = dataclasses.asdict(entry)
        values = {k: v for k, v in values.items() if v != defaults[k]}
        lines.append(json.dumps(values))
    file.write_text("[\n" + ",\n".join(lines) + "\n]\n")


def table(entries: Sequence[Entry]) -> str:
    """The list in Markdown."""
    rows = []
    for entry in entries:
        cost = f"{entry.minutes:g} min, {entry.device}" if entry.minutes else "–"
        rows.append(
            {
                "name": entry.name,
                "value": str(entry.value),
                "command": f"`python {entry.command}`",
                "lines": str(entry.runs or "–"),
                "last took": cost,
            }
        )
    return tables.markdown_of(rows) if rows else "None."


class Job:
    """A missing result in the making."""

    def __init__(self, entry: Entry, out: pathlib.Path, source: list[str], share: int):
        """Starts a process for it; `share` of them have the device at once."""
        self.entry, self._begun = entry, time.monotonic()
        self._folder, self._lines = out / "runs" / entry.name, out / "lines"
        self._seen: set[pathlib.Path] = set()
        arguments = shlex.split(entry.command)
        if entry.trains:
            arguments = [__file__, "one", entry.name, f"--list={FLAGS.list}"]
            arguments += [f"--out={out}", *source]
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lines.mkdir(parents=True, exist_ok=True)
        fraction = {"XLA_PYTHON_CLIENT_MEM_FRACTION": f"{0.9 / share:.2f}"}
        with open(self._folder / "output.txt", "a") as output:
            self.process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=os.environ | {"OCJAX_CACHE": str(out / "cache")} | fraction,
                stdout=output,
                stderr=output,
            )

    def look(self, commit: str) -> None:
        """Keeps what is there by now, and tells it; and how the process has ended."""
        status = self.process.poll()
        kept = self._harvest(commit) if self.entry.trains else []
        if status == 0 and not self.entry.trains:
            shutil.copy(BENCHMARKS / self.entry.file, self._lines)
            kept = [self.entry.file]
        for text in kept:
            print(f"{self.entry.name}: {text}", flush=True)
        if status is not None:
            seconds = time.monotonic() - self._begun
            end = "finished" if not status else f"ended with status {status}"
            print(f"{self.entry.name}: {end} after {seconds:.0f} s.", flush=True)
            if status not in (0, exits.TRY_AGAIN):
                tail = (self._folder / "output.txt").read_text().splitlines()[-3:]
                print(*(f"  {line[:200]}" for line in tail), sep="\n", flush=True)

    def _harvest(self, commit: str) -> list[str]:
        """Keeps the results of runs that have finished, each once; what to say of it.

        Args:
          commit: commit of the code that runs, where no repository tells it.
        """
        said = []
        for path in sorted({*self._folder.rglob("eval/summary.json")} - self._seen):
            self._seen.add(path)
            result = keep.result_of(RunFolder(path.parents[1]), commit)
            if keep.append(result, self._lines / self.entry.file):
                of, seed = result.identity.target_class, result.identity.seed
                said.append(f"{of}, seed {seed}: AUROC {result.auroc:.3f}")
        return said


def is_whole(entry: Entry, lines: pathlib.Path) -> bool:
    """Whether a folder of lines has all of a result."""
    file = lines / entry.file
    return file.exists() and len(file.read_text().splitlines()) >= entry.runs


def make(
    entries: Sequence[Entry],
    out: pathlib.Path,
    source: list[str],
    commit: str,
    minutes: float,
    together: int,
) -> None:
    """Makes results until the time is over, and keeps each once it is there.

    Args:
      entries: what is missing, the most valuable first.
      out: folder of runs, compiled programs and lines.
      source: arguments that name the data.
      commit: commit of the code, where it lies in no repository.
      minutes: time after which nothing goes on.
      together: trainings at once; a benchmark is alone.
    """
    end = time.monotonic() + 60 * minutes
    waiting = collections.deque(e for e in entries if not is_whole(e, out / "lines"))
    jobs: list[Job] = []

    def fits(entry: Entry) -> bool:
        if not all(job.entry.trains for job in jobs) or len(jobs) >= together:
            return False
        return entry.trains or not jobs

    try:
        while (waiting or jobs) and time.monotonic() < end:
            while waiting and fits(waiting[0]):
                jobs.append(Job(waiting.popleft(), out, source, together))
            time.sleep(0.5)
            for job in jobs:
                job.look(commit)
            jobs = [job for job in jobs if job.process.returncode is None]
    finally:
        for job in jobs:
            job.process.send_signal(signal.SIGTERM)
        for job in jobs:
            try:
                job.process.wait(SAVING)
            except subprocess.TimeoutExpired:
                job.process.kill()
                job.process.wait()
            job.look(commit)


def take(lines: pathlib.Path, file: pathlib.Path, home: pathlib.Path) -> None:
    """Adds lines to the results of a checkout; shortens the list by what is whole.

    Args:
      lines: folder of lines, from `run`.
      file: the list.
      home: root of the checkout.

    Raises:
      InputError: there is no such folder, or a line is no result.
    """
    if not lines.is_dir():
        raise InputError(f"There is no folder {lines}: `run` makes OUT/lines.")
    entries, experiments = read(file), home / "experiments"
    for path in sorted(lines.glob("*.jsonl")):
        for text in path.read_text().splitlines():
            result = keep.Result.from_json(json.loads(text))
            folder = keep.home(result.identity.method, experiments)
            keep.append(result, folder / "results.jsonl")
    for path in sorted(lines.glob("*.json")):
        shutil.copy(path, home / "benchmarks" / "results")
    write(file, [entry for entry in entries if not is_whole(entry, lines)])


def one(entry: Entry, out: pathlib.Path) -> None:
    """Trains one result in this process."""
    values = entry.values()
    environment.keep_programs()
    dataset = None
    if FLAGS.data:
        dataset = packing.dataset(_pack(), config.parse(values).config)
    runs.launch(
        values,
        workdir=out / "runs" / entry.name / "run",
        data_dir=FLAGS.data_dir,
        dataset=dataset,
        command=f"python {entry.command}",
    )


def parse(arguments: list[str]) -> list[str]:
    """Parses the flags; what to do, and the names."""
    logging.set_verbosity(logging.WARNING)
    try:
        return FLAGS(arguments)[1:]
    except flags.Error as error:
        exits.fail(exits.USER_ERROR, error)


def main(arguments: list[str]) -> None:
    """Does what the first argument says."""
    verb, *names = arguments or [""]
    verb = one_of("first argument", verb, ("list", "pack", "run", "take", "one"))
    file, out = pathlib.Path(FLAGS.list), pathlib.Path(FLAGS.out).absolute()
    if verb == "take":
        for folder in names:
            take(pathlib.Path(folder), file, ROOT)
        tables.replace(HERE / "README.md", table(read(file)), "missing")
        return
    entries = read(file, names)
    if verb == "list":
        print(table(entries))
    elif verb == "pack":
        configs = [config.parse(e.values()).config for e in entries if e.trains]
        packing.write(_pack(), configs, FLAGS.data_dir)
    elif verb == "one":
        one(entries[0], out)
    else:
        source, commit = [], ""
        if FLAGS.data:
            source = [f"--data={_pack()}"]
            commit = packing.commit(_pack())
        elif FLAGS.data_dir:
            source = [f"--data_dir={os.path.abspath(str(FLAGS.data_dir))}"]
        if not commit and any(entry.trains for entry in entries):
            packing.own_commit()  # Else results would be refused once they are there.
        together = FLAGS.together or (3 if _accelerated() else 1)
        make(entries, out, source, commit, FLAGS.minutes, together)


def _pack() -> pathlib.Path:
    if not FLAGS.data:
        raise InputError("Expected the file of the data: write --data=FILE.")
    return pathlib.Path(str(FLAGS.data)).absolute()


def _accelerated() -> bool:
    """Whether JAX finds an accelerator; asked in a process that gives it back."""
    program = "import jax; print(jax.default_backend())"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    return done.stdout.strip() not in ("", "cpu")


def define() -> None:
    """Defines the flags, whose names other programs have too."""
    flags.DEFINE_string("list", str(FILE), "List of missing results.")
    flags.DEFINE_string("data_dir", None, "Folder of data sets.")
    flags.DEFINE_string("data", None, "File that `pack` writes and `run` reads.")
    flags.DEFINE_string("out", "runs/missing", "Folder of what is being made.")
    flags.DEFINE_float("minutes", 7.0, "Time after which nothing goes on.", 0.0)
    flags.DEFINE_integer(
        "together", 0, "Trainings at once; 0 for 3 on an accelerator, else 1.", 0
    )


if __name__ == "__main__":
    define()
    exits.start(exits.guarded(main), parse)
