"""The counts as a page: tests/README.md, rendered from tests/endurance.json."""

import json
import pathlib

TESTS = pathlib.Path(__file__).parents[1]
HEAD = """# Tests

`pytest` runs all tests. Endurance is a program beside them, `tests/endurance`, run by
hand: it takes many minutes, and finds what nobody thought of.

    python tests/endurance kills --count=100
    python tests/endurance mutations --count=2000
    python tests/endurance folders --count=40
    python tests/endurance uploads --seconds=60
    python tests/endurance table

- **kills**: runs that are killed at random moments by SIGKILL, SIGTERM or SIGINT, and
  started again until they finish. Every array of the last checkpoint, the scores and
  every logged loss must be those of a run that nothing stopped, to the bit.
- **mutations**: damaged and hostile model files, run folders, pictures and tables,
  given to every command that reads them. A traceback, a crash, a hang, or a refusal
  that is not said in one line is a fault; so is code inside a file that was run.
- **folders**: two processes at once on one run folder, and on one cache; disks that
  fill at each stage, from which the run must go on to the same bits.
- **uploads**: the page under eight clients that send broken uploads; memory, open files
  and temporary files after it are those of before.

## Found and mended

- An error that was kept as a value held the picture that was being decoded: broken
  uploads took the page from 101 MiB to 3.7 GB in 16 seconds.
- A flipped bit of a parameter in an ONNX file changed scores without a word; the file
  has a checksum now.
- Thresholds of text, arrays that unpack to terabytes and JSON nested too deep, in model
  files and run folders, ended in tracebacks or in lines of 200 kB.
- A damaged row of a log ended a report, and a damaged checkpoint let the storage
  library print tracebacks of reads that were still on their way.
- Processes killed while they kept compiled programs left halves, read again at every
  start. A job whose first process was killed ended with a dump before its line.

## Counts

The table is rendered from `tests/endurance.json`.

| part | case | tried | came | faults | minutes | commit | date |
| --- | --- | --- | --- | --- | --- | --- | --- |
"""


def rendered(rows: list[dict]) -> str:
    """The page of rows of results."""
    lines = []
    for row in rows:
        came = ", ".join(f"{count:,} {name}" for name, count in row["outcomes"].items())
        faults = ", ".join(f"{count} {name}" for name, count in row["faults"].items())
        cells = [row["part"], row["case"], f"{row['tried']:,}", came, faults,
                 f"{row['seconds'] / 60:.0f}", row["commit"], row["date"]]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |\n")
    machines = sorted({row["machine"] for row in rows})
    return HEAD + "".join(lines) + f"\nMachine: {'; '.join(machines)}.\n"


def write() -> None:
    """Writes the page."""
    rows = json.loads((TESTS / "endurance.json").read_text())
    (TESTS / "README.md").write_text(rendered(rows))
