"""Runs commands of ocjax one after another in one process, as `mutations` asks.

Reads one JSON object a line from standard input: {"do": "command" | "load" | "data" |
"upload", "arguments": [...]}. Answers with a line: {"code", "errors"}, where code is
the exit code, or None where anything but `SystemExit` was raised.
"""

import json
import os
import pathlib
import sys
import tempfile
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "serve"))

from ocjax._checks import InputError  # noqa: E402


def command(*arguments: str) -> int:
    """The command's exit code."""
    from ocjax import cli

    sys.argv = ["ocjax", *arguments]
    try:
        cli.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    return 0


def load(path: str) -> int:
    """Opens a saved detector as Python does, and scores with it."""
    import numpy as np

    import ocjax

    try:
        detector = ocjax.Detector.load(path)
        detector.predict(np.zeros((2, 32, 32), np.uint8))
    except InputError as error:
        print("Error:", error, file=sys.stderr)
        return 2
    return 0


def data(folder: str) -> int:
    """Loads a folder as training does."""
    from ocjax import data

    try:
        data.load("folder", data_dir=folder, size=32)
    except InputError as error:
        print("Error:", error, file=sys.stderr)
        return 2
    return 0


def upload(*paths: str) -> int:
    """Sends files to the page's endpoint; 0 where all of them are scored."""
    answer = _client().post(
        "/score?heatmap=1",
        files=[("file", ("a", pathlib.Path(x).read_bytes())) for x in paths],
    )
    if answer.status_code == 200:
        return 0
    (result,) = answer.json().get("results", [answer.json()])
    print("Error:", result["error"], file=sys.stderr)
    return 2 if answer.status_code == 422 else None  # pyright: ignore


def _client():
    global _opened
    if _opened is None:
        import toy  # pyright: ignore
        from starlette.testclient import TestClient

        from ocjax.serve.app import create_app

        app = create_app(toy.scorer())
        _opened = TestClient(app, base_url="http://localhost")
    return _opened


_opened = None


def main() -> None:
    """Answers until standard input ends."""
    # What the work prints, also from C, goes to a file.
    answers = os.fdopen(os.dup(1), "w")
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        sys.stdout = open(1, "w", buffering=1, closefd=False)
        sys.stderr = open(2, "w", buffering=1, closefd=False, errors="replace")
        for line in sys.stdin:
            asked = json.loads(line)
            said.truncate(0)
            os.lseek(1, 0, os.SEEK_SET)
            try:
                code = globals()[asked["do"]](*asked["arguments"])
            except BaseException:
                traceback.print_exc()
                code = None
            sys.stdout.flush()
            sys.stderr.flush()
            size = os.fstat(1).st_size
            start = max(0, size - 20_000)
            text = os.pread(said.fileno(), size, start).decode("utf-8", "replace")
            answers.write(json.dumps({"code": code, "errors": text}) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
