"""Damaged and hostile files, given to every command that reads them."""

import json
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import damage
import numpy as np
import work
from PIL import Image

FAULTS = ("tracebacks", "crashes", "hangs", "executed code", "unclear refusals")
SECONDS = 60  # After which one input hangs.
FORMATS = {
    "grey.png": ("L", {}),
    "colour.png": ("RGB", {}),
    "palette.png": ("P", {}),
    "alpha.png": ("RGBA", {}),
    "bits.png": ("1", {}),
    "sixteen.png": ("I;16", {}),
    "photo.jpg": ("RGB", {"exif": True}),
    "grey.jpeg": ("L", {"progressive": True}),
    "cmyk.jpg": ("CMYK", {}),
    "a.bmp": ("RGB", {}),
    "a.gif": ("P", {}),
    "a.webp": ("RGB", {}),
    "lossless.webp": ("RGBA", {"lossless": True}),
    "a.tif": ("RGB", {}),
    "lzw.tiff": ("L", {"compression": "tiff_lzw"}),
    "deflate.tif": ("RGB", {"compression": "tiff_deflate"}),
    "sixteen.tif": ("I;16", {}),
    "a.pgm": ("L", {}),
    "a.ppm": ("RGB", {}),
}


class Worker:
    """A process that runs commands, started again where one has ended it."""

    def __init__(self, folder: pathlib.Path):
        """Starts at the first question; `folder` has its caches."""
        self._folder, self._process = folder, None

    def ask(self, do: str, *arguments: str) -> tuple[str, int | None, str]:
        """("answered", "crashes" or "hangs", exit code, what was printed)."""
        process = self._process or self._start()
        assert process.stdin is not None and process.stdout is not None
        clock = threading.Timer(SECONDS, process.send_signal, [signal.SIGKILL])
        clock.start()
        try:
            asked = json.dumps({"do": do, "arguments": arguments}) + "\n"
            process.stdin.write(asked)
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        hung = not clock.is_alive()
        clock.cancel()
        if answer:
            told = json.loads(answer)
            return "answered", told["code"], told["errors"]
        code, self._process = process.wait(), None
        return "hangs" if hung else "crashes", code, f"signal {-code}"

    def end(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _start(self) -> subprocess.Popen:
        program = pathlib.Path(__file__).with_name("worker.py")
        self._process = subprocess.Popen(
            [sys.executable, program],
            cwd=self._folder,
            env=work.environment(self._folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        return self._process


def main(count: int, seed: int, folder: pathlib.Path, only: str) -> None:
    """Tries about `count` inputs."""
    made = _Made(folder)
    worker = Worker(folder)
    cases = {
        "exported program (.ocjax)": (_program, 22),
        "exported graph (.onnx)": (_graph, 20),
        "saved detector": (_saved, 20),
        "run folder": (_run_folder, 14),
        "pictures": (_pictures, 16),
        "labels.csv": (_labels, 8),
    }
    try:
        for name, (one, share) in cases.items():
            if only in name:
                _try(name, one, max(1, round(count * share / 100)), seed, made, worker)
    finally:
        worker.end()


def _try(name: str, one: Callable, count: int, seed: int, made: "_Made", worker):
    rng = np.random.default_rng([seed, *name.encode()])
    tally = work.Tally("mutations", name, dict.fromkeys(FAULTS, 0))
    begin = time.monotonic()
    marker = made.folder / "marker"
    said: dict[str, int] = {}
    while tally.tried < count:
        what, question = one(made, str(marker), rng)
        how, code, errors = worker.ask(*question)
        tally.tried += 1
        shown = f"{what}: {' '.join(question)[:300]}"
        if marker.exists():
            marker.unlink()
            tally.fault("executed code", shown)
        if how != "answered":
            tally.fault(how, shown, errors)
            made.keep(f"{how}-{tally.tried}", what)
        elif code is None or work.has_traceback(errors):
            tally.fault("tracebacks", shown, errors)
            made.keep(f"traceback-{tally.tried}", what)
        elif code == 0:
            tally.outcomes["still worked"] += 1
        elif _clear(errors):
            tally.outcomes["refused in one line"] += 1
        else:
            tally.fault("unclear refusals", f"{shown}: exit {code}", errors)
            made.keep(f"unclear-{tally.tried}", what)
        line = work.last_line(errors)
        said[line[:60]] = said.get(line[:60], 0) + 1
        if tally.tried % 100 == 0:
            tally.progress()
    tally.progress()
    (made.folder / f"said-{name.replace(' ', '-')}.json").write_text(
        json.dumps(dict(sorted(said.items(), key=lambda x: -x[1])), indent=1)
    )
    work.record(tally, seed, time.monotonic() - begin)


def _clear(errors: str) -> bool:
    """Whether what is wrong is said, in the last line or beside the file."""
    unread = "could not be read" in errors or "cannot be read" in errors
    return unread or work.last_line(errors).startswith("Error: ")


class _Made:
    """Whole files of every kind, and copies to damage."""

    def __init__(self, folder: pathlib.Path):
        self.folder, self.good = folder, folder / "good"
        self.count = 0
        shutil.rmtree(self.good, ignore_errors=True)
        self.good.mkdir(parents=True)
        work.make_pictures(self.good / "pics", 40)
        self.pictures = self.good / "formats"
        self.pictures.mkdir()
        for name, (mode, options) in FORMATS.items():
            _picture(self.pictures / name, mode, dict(options))
        self._train()
        self._layouts()
        self.few = str(self.good / "pics" / "000.png")

    def _train(self) -> None:
        run = self.good / "run"
        train = ["-m", "ocjax", "train", str(self.good / "pics"), *work.TINY]
        train += ["--epochs=2", "--set=report=False", f"--workdir={run}"]
        code, errors = work.run(train, self.folder)
        assert code == 0, errors
        for kind, suffix in (("stablehlo", ".ocjax"), ("onnx", ".onnx")):
            export = ["-m", "ocjax", "export", str(run), f"--format={kind}"]
            out = f"--out={self.good / ('model' + suffix)}"
            code, errors = work.run([*export, out], self.folder)
            assert code == 0, errors
        program = f"""
import numpy as np, ocjax
x = np.random.default_rng(0).integers(0, 256, (30, 32, 32), np.uint8)
detector = ocjax.Detector(method="autoencoder", hyper=dict(features=2, latent=3),
    epochs=1, batch_size=8).fit(x)
detector.save({str(self.good / "saved.ocjax")!r})
"""
        code, errors = work.run(["-c", program], self.folder)
        assert code == 0, errors

    def _layouts(self) -> None:
        labelled = self.good / "labelled"
        work.make_pictures(labelled, 12)
        rows = [
            f"{i:03d}.png,{'good' if i < 8 else 'hole'},{'train' if i < 4 else 'test'}"
            for i in range(12)
        ]
        text = "\n".join(["path,label,split", *rows]) + "\n"
        (labelled / "labels.csv").write_text(text)
        tree = self.good / "tree"
        for part, count in (("train/good", 4), ("test/good", 3), ("test/hole", 3)):
            work.make_pictures(tree / part, count)
        work.make_pictures(tree / "ground_truth" / "hole", 3)

    def fresh(self, source: pathlib.Path) -> pathlib.Path:
        """A copy of a whole file or folder, in the place of the last one."""
        place = self.folder / "damaged"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        target = place / source.name
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
        return target

    def keep(self, name: str, what: str) -> None:
        """Keeps the damaged input that showed a fault."""
        kept = self.folder / "kept" / name
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(self.folder / "damaged", kept)
        (kept / "what.txt").write_text(what)


def _picture(path: pathlib.Path, mode: str, options: dict) -> None:
    rng = np.random.default_rng(list(path.name.encode()))
    if mode == "I;16":
        image = Image.fromarray(rng.integers(0, 2**16, (40, 50), np.uint16))
    else:
        pixels = rng.integers(0, 256, (40, 50, 3), np.uint8)
        image = Image.fromarray(pixels).convert(mode)
    if options.pop("exif", False):
        exif = Image.Exif()
        exif[0x0112], exif[0x010F] = 6, "maker"
        options["exif"] = exif
    image.save(path, **options)


def _model(made: _Made, name: str, marker: str, rng) -> tuple[str, pathlib.Path]:
    path = made.fresh(made.good / name)
    content, zipped = path.read_bytes(), path.suffix == ".ocjax"
    kinds = [
        lambda: damage.bytes_damaged(content, rng),
        lambda: damage.planted(content, marker, rng),
        lambda: (damage.zip_damaged if zipped else damage.bytes_damaged)(content, rng),
    ]
    what, changed = kinds[rng.choice(3, p=[0.3, 0.1, 0.6])]()
    path.write_bytes(changed)
    return what, path


def _program(made, marker, rng):
    what, path = _model(made, "model.ocjax", marker, rng)
    return what, _asked(made, path, rng, ["score", "evaluate", "export"])


def _graph(made, marker, rng):
    what, path = _model(made, "model.onnx", marker, rng)
    return what, _asked(made, path, rng, ["score", "evaluate", "export"])


def _saved(made, marker, rng):
    what, path = _model(made, "saved.ocjax", marker, rng)
    return what, _asked(made, path, rng, ["score", "evaluate", "export", "load"])


def _asked(made: _Made, path: pathlib.Path, rng, kinds: list[str]) -> list[str]:
    """What is asked of a worker about a model."""
    place = str(path.parent)
    kind = kinds[rng.choice(len(kinds), p=_first(len(kinds)))]
    if kind == "score":
        out = [f"--out={place}/out.csv"] if rng.random() < 0.3 else []
        maps = [f"--heatmaps={place}/maps"] if rng.random() < 0.2 else []
        return ["command", "score", made.few, f"--model={path}", *out, *maps]
    if kind == "evaluate":
        return ["command", "evaluate", str(made.good / "tree"), f"--model={path}"]
    if kind == "export":
        how = rng.choice(["stablehlo", "onnx"])
        out = f"--out={place}/exported" + {"onnx": ".onnx"}.get(how, ".ocjax")
        return ["command", "export", str(path), f"--format={how}", out]
    if kind == "report":
        return ["command", "report", str(path)]
    if kind == "train":
        more = ["--epochs=2", "--set=report=False", f"--workdir={path}"]
        return ["command", "train", str(made.good / "pics"), *work.TINY, *more]
    return ["load", str(path)]


def _first(count: int) -> list[float]:
    """Chances: half for the first."""
    return [0.5, *[0.5 / (count - 1)] * (count - 1)]


def _run_folder(made, marker, rng):
    path = made.fresh(made.good / "run")
    files = sorted(x for x in path.rglob("*") if x.is_file())
    plain = [x for x in files if x.suffix in (".json", ".csv", ".jsonl")]
    pool = plain if rng.random() < 0.6 else files
    file = pool[rng.integers(len(pool))]
    content = file.read_bytes()
    kind = rng.choice(["bytes", "kind", "planted", "gone"], p=[0.35, 0.4, 0.15, 0.1])
    if kind == "gone":
        what = "gone"
        file.unlink()
    else:
        if kind == "planted":
            what, changed = damage.planted(content, marker, rng)
        elif kind == "kind" and file.suffix == ".json":
            what, changed = damage.json_damaged(content, rng)
        elif kind == "kind" and file.suffix == ".csv":
            what, changed = damage.csv_damaged(content, rng)
        else:
            what, changed = damage.bytes_damaged(content, rng)
        file.write_bytes(changed)
    kinds = ["score", "evaluate", "export", "report", "train"]
    if rng.random() < 0.3:  # An interrupted run.
        (path / "eval" / "summary.json").unlink(missing_ok=True)
    return f"{what} of {file.relative_to(path)}", _asked(made, path, rng, kinds)


def _pictures(made, marker, rng):
    names = list(FORMATS)
    name = names[rng.integers(len(names))]
    where = rng.choice(["score", "upload", "data", "evaluate"])
    source = made.pictures / name
    if where in ("score", "upload"):
        path = target = made.fresh(source)
    else:
        path = made.fresh(made.good / "tree")
        parts = ("train/good", "test/good", "test/hole", "ground_truth/hole")
        part = parts[rng.integers(len(parts))]
        target = path / part / ("000" + source.suffix)
        (path / part / "000.png").unlink()
        shutil.copy(source, target)
    content = target.read_bytes()
    if rng.random() < 0.1:
        what, changed = damage.planted(content, marker, rng)
    else:
        what, changed = damage.bytes_damaged(content, rng)
    target.write_bytes(changed)
    what = f"{what} of {name}"
    if where == "score":
        model = f"--model={made.good / 'model.ocjax'}"
        return what, ["command", "score", str(target), model]
    if where == "evaluate":
        model = f"--model={made.good / 'model.ocjax'}"
        return what, ["command", "evaluate", str(path), model]
    return what, [where, str(path)]


def _labels(made, marker, rng):
    path = made.fresh(made.good / "labelled")
    file = path / "labels.csv"
    content = file.read_bytes()
    kind = rng.random()
    if kind < 0.1:
        what, changed = damage.planted(content, marker, rng)
    else:
        how = damage.csv_damaged if kind < 0.7 else damage.bytes_damaged
        what, changed = how(content, rng)
    file.write_bytes(changed)
    if rng.random() < 0.5:
        return what, ["data", str(path)]
    model = f"--model={made.good / 'model.ocjax'}"
    return what, ["command", "evaluate", str(path), model]
