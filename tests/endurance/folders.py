"""Folders and caches that two processes share, and disks that fill."""

import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence

import numpy as np
import work

REFUSED = (1, 2, 75)  # Exit codes of commands that say why they end.
TRAIN = (
    "-m", "ocjax", "train", "pics", *work.TINY, "--epochs=20",
    "--set=checkpoint_epochs=2", "--set=log_every=1",
)  # fmt: skip
ROOMY = 2**30  # Bytes of a disk that has room for all.
INSIDE = "ENDURANCE_INSIDE"  # Set where disks may be mounted.


def main(count: int, seed: int, folder: pathlib.Path, only: str) -> None:
    """Tries about `count` starts, half of them on disks that fill."""
    if INSIDE not in os.environ:
        for name, do in (("two processes, one folder", _one_folder),
                         ("two processes, one cache", _one_cache)):  # fmt: skip
            if only in name:
                do(name, max(1, count // 4), seed, folder)
        if only in "full disks":
            _with_mounts(count, seed, folder)
        return
    for name, place in (("full disk of the run", "run"),
                        ("full disk of the caches", "caches"),
                        ("full disk of results", "results")):  # fmt: skip
        _full(name, place, max(1, count // 6), seed, folder)


def _with_mounts(count: int, seed: int, folder: pathlib.Path) -> None:
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        print("Full disks: skipped, as nothing can be mounted here.")
        return
    program = pathlib.Path(__file__).parent
    subprocess.run(
        ["unshare", "-rm", sys.executable, program, "folders", f"--count={count}"]
        + [f"--seed={seed}", f"--folder={folder}", f"--results={work.RESULTS}"],
        env=os.environ | {INSIDE: "1"},
        check=True,
    )


def _tally(case: str) -> work.Tally:
    kinds = ("lost bits", "failed", "tracebacks", "hangs", "killed by a signal",
             "files left")  # fmt: skip
    return work.Tally("folders", case, dict.fromkeys(kinds, 0))


def _whole(folder: pathlib.Path, path: pathlib.Path, *more: str):
    """What a run holds that had a folder for itself, and the seconds it took."""
    seconds = 0.0
    for _ in range(2):
        shutil.rmtree(path, ignore_errors=True)
        begin = time.monotonic()
        code, errors = work.run([*TRAIN, *more, f"--workdir={path}"], folder)
        seconds = time.monotonic() - begin
        assert code == 0, errors
    return work.contents(path), seconds


def _one_folder(case: str, count: int, seed: int, folder: pathlib.Path) -> None:
    """The same command twice: one goes on, the other says why not."""
    rng, tally, begin = np.random.default_rng(seed), _tally(case), time.monotonic()
    work.make_pictures(folder / "pics")
    plain = "--set=report=False"
    whole, life = _whole(folder, folder / "whole", plain)
    path = folder / "shared"
    while tally.tried < count:
        shutil.rmtree(path, ignore_errors=True)
        both = []
        for delay in (0, rng.uniform(0, life) * rng.integers(2)):
            time.sleep(delay)
            both.append(work.Command([*TRAIN, plain, f"--workdir={path}"], folder))
        ended = [(x.wait(work.LIMIT), x.end(), x.said()[1]) for x in both]
        tally.tried += 1
        for code, _, errors in ended:
            _judge(tally, code, errors)
        if all(code != 0 for code, _, _ in ended):
            tally.fault("failed", " | ".join(work.last_line(x) for _, _, x in ended))
        code, errors = work.run([*TRAIN, plain, f"--workdir={path}"], folder)
        _compare(tally, code, errors, path, whole)
        tally.progress()
    work.record(tally, seed, time.monotonic() - begin)


def _one_cache(case: str, count: int, seed: int, folder: pathlib.Path) -> None:
    """Two runs that fill the same empty caches of data and of programs."""
    rng, tally, begin = np.random.default_rng(seed), _tally(case), time.monotonic()
    work.make_pictures(folder / "pics")
    plain = "--set=report=False"
    whole, _ = _whole(folder, folder / "whole", plain)
    caches = folder / "shared-caches"
    while tally.tried < count:
        shutil.rmtree(caches, ignore_errors=True)
        places = {
            "OCJAX_CACHE": str(caches / "data"),
            "JAX_COMPILATION_CACHE_DIR": str(caches / "compiled"),
        }
        paths = [folder / f"run{i}" for i in range(2)]
        both = []
        for path in paths:
            shutil.rmtree(path, ignore_errors=True)
            time.sleep(rng.uniform(0, 1) * len(both))
            arguments = [*TRAIN, plain, f"--workdir={path}"]
            both.append(work.Command(arguments, folder, **places))
        tally.tried += 1
        for path, command in zip(paths, both, strict=True):
            code = command.wait(work.LIMIT)
            command.end()
            _compare(tally, code, command.said()[1], path, whole)
        tally.progress()
    work.record(tally, seed, time.monotonic() - begin)


def _full(case: str, place: str, count: int, seed: int, folder: pathlib.Path) -> None:
    """Disks from almost nothing up to what is needed."""
    tally, begin = _tally(case), time.monotonic()
    work.make_pictures(folder / "pics", 120)
    disk = folder / "disk"
    disk.mkdir(exist_ok=True)
    whole, _ = _whole(folder, folder / "whole")
    if place == "results":
        _results(tally, count, folder, disk)
    else:
        _runs(tally, place, count, folder, disk, whole)
    work.record(tally, seed, time.monotonic() - begin)


def _runs(tally: work.Tally, place: str, count: int, folder, disk, whole) -> None:
    """Runs whose folder or whose caches are on a disk that fills."""
    path = disk / "run" if place == "run" else folder / "elsewhere"
    caches = {
        "OCJAX_CACHE": str(disk / "cache"),
        "JAX_COMPILATION_CACHE_DIR": str(disk / "compiled"),
    }
    places = caches if place == "caches" else {}
    arguments = [*TRAIN, f"--workdir={path}"]
    with _mounted(disk, ROOMY):
        code, errors = work.run(arguments, folder, **places)
        assert code == 0, errors
        needed = _used(disk)
    for number in range(count):
        shutil.rmtree(folder / "elsewhere", ignore_errors=True)
        with _mounted(disk, round(needed * (number + 0.5) / count)):
            code, errors = work.run(arguments, folder, **places)
            tally.tried += 1
            _judge(tally, code, errors)
            subprocess.run(["mount", "-o", f"remount,size={ROOMY}", disk], check=True)
            code, errors = work.run(arguments, folder, **places)
            _compare(tally, code, errors, path, whole)
        tally.progress()


def _results(tally: work.Tally, count: int, folder: pathlib.Path, disk) -> None:
    """Tables, heatmaps and models written to a full disk."""
    model = folder / "whole"
    commands = {
        "scores": ["score", "pics", f"--model={model}", f"--out={disk}/s.csv"],
        "maps": ["score", "pics", f"--model={model}", f"--heatmaps={disk}/maps"],
        "program": ["export", str(model), f"--out={disk}/m.ocjax"],
        "graph": ["export", str(model), "--format=onnx", f"--out={disk}/m.onnx"],
    }
    for name, arguments in commands.items():
        with _mounted(disk, ROOMY):
            code, errors = work.run(["-m", "ocjax", *arguments], folder)
            assert code == 0, errors
            needed = _used(disk)
        each = max(1, count // len(commands))
        for number in range(each):
            with _mounted(disk, round(needed * (number + 0.5) / each)):
                code, errors = work.run(["-m", "ocjax", *arguments], folder)
                names = [x.name for x in disk.rglob("*") if x.is_file()]
            # A table that was begun stays beside its name, with another suffix.
            left = [x for x in names if x.endswith((".csv", ".ocjax", ".onnx", ".tmp"))]
            tally.tried += 1
            _judge(tally, code, errors)
            if code != 0 and left:
                tally.fault("files left", f"{name}: {', '.join(left)}")
        tally.progress()


class _mounted:
    """A disk of its own at a folder."""

    def __init__(self, folder: pathlib.Path, size: int):
        self._folder, self._size = str(folder), max(4096, size)

    def __enter__(self) -> None:
        options = f"size={self._size}"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", self._folder]
        subprocess.run(command, check=True)

    def __exit__(self, *_) -> None:
        subprocess.run(["umount", self._folder], check=True)


def _used(disk: pathlib.Path) -> int:
    told = os.statvfs(disk)
    return (told.f_blocks - told.f_bfree) * told.f_frsize


def _judge(tally: work.Tally, code: int | None, errors: str) -> None:
    """Counts how a command ended."""
    if code is None:
        tally.fault("hangs", "no end", errors)
    elif code == 0:
        tally.outcomes["worked"] += 1
    elif code < 0:
        tally.fault("killed by a signal", f"exit {code}", errors)
    elif code in REFUSED and work.last_line(errors).startswith("Error: "):
        tally.outcomes["ended with one line"] += 1
    if work.has_traceback(errors):
        tally.fault("tracebacks", f"exit {code}", errors)
    elif code and code > 0 and not work.last_line(errors).startswith("Error: "):
        tally.fault("failed", f"exit {code}", errors)


def _compare(
    tally: work.Tally, code: int | None, errors: str, path: pathlib.Path, whole
) -> None:
    """Counts a run that should have ended well."""
    if code != 0:
        kind = "hangs" if code is None else "failed"
        tally.fault(kind, f"exit {code} where it should end well", errors)
        return
    differ: Sequence[str] = work.differing(work.contents(path), whole)
    if differ:
        tally.fault("lost bits", ", ".join(differ[:5]))
    else:
        tally.outcomes["ended in the same bits"] += 1
