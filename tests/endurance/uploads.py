"""The page under clients that send broken uploads."""

import http.client
import io
import json
import pathlib
import re
import signal
import socket
import struct
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable
from urllib.parse import urlsplit

import damage
import numpy as np
import work
from PIL import Image

CLIENTS = 8
WARM = 15  # Seconds of the same load before memory is looked at.
GROWTH = 32 * 2**20  # Bytes by which memory may differ.
# The C library gives back what is freed: else it keeps the most that ever was in use.
ALLOCATOR = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "65536",
}
HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
TAIL = b"\r\n--x--\r\n"


def main(seconds: float, seed: int, folder: pathlib.Path) -> None:
    """Starts `ocjax serve`, sends for so long, and looks at what is left."""
    begin = time.monotonic()
    faults = ("leaks of memory", "leaks of files", "files left", "wrong answers",
              "no answers", "tracebacks")  # fmt: skip
    tally = work.Tally("uploads", f"{CLIENTS} clients, {seconds:.0f} s",
                       dict.fromkeys(faults, 0))  # fmt: skip
    model = _model(folder)
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    arguments = ["-m", "ocjax", "serve", f"--model={model}", "--port=0"]
    server = work.Command(
        arguments, folder, TMPDIR=str(temporary), PYTHONUNBUFFERED="1", **ALLOCATOR
    )
    try:
        host, port = _address(server)
        good, expected = _picture("PNG"), {}
        for name, query in (("plain", ""), ("heatmap", "?heatmap=1")):
            expected[name] = _send(host, port, HEAD + good + TAIL, query=query)
            if expected[name][0] != 200:
                tally.fault("wrong answers", str(expected[name])[:300])
        _load(host, port, WARM, seed, Counter())
        before = _held(server.process.pid)
        counts = Counter()
        _load(host, port, seconds, seed + 1, counts)
        after = _held(server.process.pid)
        for name, query in (("plain", ""), ("heatmap", "?heatmap=1")):
            answer = _send(host, port, HEAD + good + TAIL, query=query)
            if answer != expected[name]:
                tally.fault("wrong answers", f"{answer} for {expected[name]}"[:500])
        _count(tally, counts, before, after, temporary)
    finally:
        server.process.send_signal(signal.SIGINT)
        server.wait(20)
        server.end()
        errors = server.said()[1]
    if work.has_traceback(errors):
        tally.fault("tracebacks", "of the server", errors)
    tally.progress()
    work.record(tally, seed, time.monotonic() - begin)


def _count(tally: work.Tally, counts: Counter, before, after, temporary) -> None:
    tally.tried = sum(counts.values())
    for status, count in counts.items():
        if status == "no answer":
            tally.fault("no answers", str(count))
        elif status == "broken off":
            tally.outcomes["broken off by the client"] += count
        else:
            tally.outcomes[f"answers of status {status}"] += count
        if status == 500:
            tally.fault("wrong answers", f"{count} of status 500")
    grown = after[0] - before[0]
    print(f"memory {before[0] >> 20} -> {after[0] >> 20} MiB, "
          f"descriptors {before[1]} -> {after[1]}")  # fmt: skip
    tally.outcomes["MiB of memory more"] = max(0, round(grown / 2**20))
    if grown > GROWTH:
        tally.fault("leaks of memory", f"{grown >> 20} MiB more")
    if after[1] > before[1]:
        tally.fault("leaks of files", f"{before[1]} -> {after[1]}")
    if left := [*temporary.rglob("*")]:
        tally.fault("files left", str(left))


def _model(folder: pathlib.Path) -> pathlib.Path:
    work.make_pictures(folder / "pics")
    run, model = folder / "run", folder / "model.ocjax"
    for arguments in (
        ["train", "pics", *work.TINY, "--epochs=2", "--set=report=False",
         f"--workdir={run}"],
        ["export", str(run), f"--out={model}"],
    ):  # fmt: skip
        if not model.exists():
            code, errors = work.run(["-m", "ocjax", *arguments], folder)
            assert code == 0, errors
    return model


def _address(server: work.Command) -> tuple[str, int]:
    for _ in range(600):
        if found := re.search(r"http://\S+", server.output()):
            parts = urlsplit(found[0])
            assert parts.hostname and parts.port
            return parts.hostname, parts.port
        assert server.process.poll() is None, server.errors()
        time.sleep(0.1)
    raise TimeoutError(server.errors())


def _held(pid: int) -> tuple[int, int]:
    """Bytes of memory and open files, once nothing is asked for."""
    time.sleep(8)  # Connections that are kept alive end after five seconds.
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"RssAnon:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024, len([*pathlib.Path(f"/proc/{pid}/fd").iterdir()])


def _load(host: str, port: int, seconds: float, seed: int, counts: Counter) -> None:
    """Lets all clients send until the time is over."""
    until = time.monotonic() + seconds
    threads = [
        threading.Thread(target=_client, args=(host, port, until, [seed, i], counts))
        for i in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        time.sleep(min(10, max(0.2, seconds / 6)))
        print(f"uploads: {sum(counts.values())} sent", flush=True)


def _client(host: str, port: int, until: float, seed: list[int], counts) -> None:
    rng = np.random.default_rng(seed)
    kinds = [_damaged, _damaged, _damaged, _cut_form, _no_form, _broken_off, _too_long,
             _too_short, _bomb, _chunked, _many, _rubbish]  # fmt: skip
    pictures = [_picture(x) for x in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")]
    while time.monotonic() < until:
        kind: Callable = kinds[rng.integers(len(kinds))]
        picture = pictures[rng.integers(len(pictures))]
        try:
            status = kind(host, port, picture, rng)
        except TimeoutError:
            status = "no answer"
        except (OSError, http.client.HTTPException):
            status = "broken off"
        counts[status] += 1


def _picture(kind: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, kind)
    return written.getvalue()


def _send(host, port, body: bytes, *, query="", **headers) -> tuple[int, object]:
    """Status and answer of one form."""
    connection = http.client.HTTPConnection(host, port, timeout=60)
    told = {"Content-Type": "multipart/form-data; boundary=x"}
    told |= {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request("POST", f"/score{query}", body, told)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def _damaged(host, port, picture, rng):
    _, content = damage.bytes_damaged(picture, rng)
    query = "?heatmap=1" if rng.random() < 0.5 else ""
    return _send(host, port, HEAD + content + TAIL, query=query)[0]


def _cut_form(host, port, picture, rng):
    whole = HEAD + picture + TAIL
    return _send(host, port, whole[: rng.integers(len(whole))])[0]


def _no_form(host, port, picture, rng):
    form = "multipart/form-data"
    kinds = ["text/plain", "application/json", form, f"{form}; boundary="]
    kinds.append(f"{form}; boundary={'y' * 5000}")
    kind = kinds[rng.integers(len(kinds))]
    return _send(host, port, picture, Content_Type=kind)[0]


def _many(host, port, picture, rng):
    return _send(host, port, HEAD.join([b"", *[picture + b"\r\n"] * 40]) + TAIL)[0]


def _rubbish(host, port, picture, rng):
    return _send(host, port, HEAD + rng.bytes(2 ** int(rng.integers(1, 18))) + TAIL)[0]


def _bomb(host, port, picture, rng):
    """A small PNG file of very many pixels, or of more than may be."""
    side = int(rng.choice([3000, 9000, 60_000]))
    return _send(
        host, port, HEAD + _png(side, side, zlib.compress(bytes(side))) + TAIL
    )[0]


def _png(width: int, height: int, data: bytes) -> bytes:
    chunk = lambda name, x: (
        struct.pack(">I", len(x)) + name + x + struct.pack(">I", zlib.crc32(name + x))
    )
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", data), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _raw(host, port, *parts: bytes, wait: bool) -> int | str:
    with socket.create_connection((host, port), timeout=60) as connection:
        for part in parts:
            connection.sendall(part)
        if not wait:
            return "broken off"
        line = connection.makefile("rb").readline()
        return int(line.split()[1]) if line.count(b" ") >= 2 else "broken off"


def _request(length: int | None) -> bytes:
    head = (
        b"POST /score HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Content-Type: multipart/form-data; boundary=x\r\n"
    )
    return head + (b"" if length is None else b"Content-Length: %d\r\n" % length)


def _broken_off(host, port, picture, rng):
    whole = HEAD + picture + TAIL
    part = whole[: rng.integers(len(whole))]
    return _raw(host, port, _request(len(whole)) + b"\r\n" + part, wait=False)


def _too_long(host, port, picture, rng):
    """Announces more than may be."""
    length = int(rng.choice([2**28, 2**40]))
    return _raw(host, port, _request(length) + b"\r\n" + HEAD + picture, wait=True)


def _too_short(host, port, picture, rng):
    """Announces less than it sends."""
    whole = HEAD + picture + TAIL
    length = int(rng.integers(len(whole)))
    return _raw(host, port, _request(length) + b"\r\n" + whole, wait=True)


def _chunked(host, port, picture, rng):
    head = _request(None) + b"Transfer-Encoding: chunked\r\n\r\n"
    return _raw(host, port, head + b"%x\r\n" % 100 + picture[:100] + b"\r\n0\r\n\r\n",
                wait=True)  # fmt: skip
