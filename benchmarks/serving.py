"""Requests a second that the scoring page's server answers, and how long one takes.

    python benchmarks/serving.py

The server is a process of its own with an autoencoder of its initial weights; clients
are threads of this one that send one small PNG a request, each on one connection and
the next as soon as an answer is there. The last line printed is one JSON object.
"""

import dataclasses
import http.client
import io
import multiprocessing
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import interleave
import jax
import numpy as np
import uvicorn
from absl import app, flags
from PIL import Image

from ocjax.inference.scorer import Card, Scorer, of_method
from ocjax.methods.autoencoder import Config, autoencoder
from ocjax.serve.app import create_app

CLIENTS = flags.DEFINE_integer("clients", 8, "That ask at the same time.")
SECONDS = flags.DEFINE_float("seconds", 10.0, "Of each measurement.")
SIZE = flags.DEFINE_integer("size", 32, "Height and width of the images.")
NAME = flags.DEFINE_string("name", "serving", "Of the file with the result.")

_EDGE = "picture"  # Between the parts of a form.


def model(size: int) -> Scorer:
    """The scorer of an autoencoder that was not trained."""
    method = autoencoder(Config())
    images = np.random.default_rng(0).uniform(-1, 1, (256, size, size, 1))
    images = images.astype(np.float32)
    state = jax.jit(method.init)(jax.random.key(0), images[:32])
    card = Card("autoencoder", "nothing", size, 1, (), 0.01, None, "0")
    normals = sorted(map(float, of_method(card, method, state).score(images)))
    card = dataclasses.replace(card, normals=tuple(normals))
    return of_method(card.at(0.01), method, state)


def server(listening: socket.socket, size: int) -> None:
    """Serves until the process is ended."""
    config = uvicorn.Config(create_app(model(size)), log_level="warning")
    uvicorn.Server(config).run(sockets=[listening])


def alone(size: int) -> dict[str, float]:
    """Median milliseconds of the scorer's calls, without a server."""
    scorer, found = model(size), {}
    for count in (1, 32):
        images, took = np.zeros((count, *scorer.card.shape), np.uint8), []
        scorer.judge(images)
        for _ in range(50):
            begin = time.perf_counter()
            scorer.judge(images)
            took.append(1000 * (time.perf_counter() - begin))
        found[f"judging {count}, ms"] = float(np.median(took))
    return found


def form(size: int) -> bytes:
    """The body of a request with one picture."""
    pixels = np.random.default_rng(1).integers(0, 256, (size, size), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    head = f'--{_EDGE}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n'
    return f"{head}\r\n".encode() + buffer.getvalue() + f"\r\n--{_EDGE}--\r\n".encode()


def measure(port: int, method: str, path: str, body: bytes) -> dict:
    """Requests a second of all clients, and percentiles of a request's milliseconds."""
    start = threading.Barrier(CLIENTS.value)

    def client(_) -> list[float]:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        headers = {"Content-Type": f"multipart/form-data; boundary={_EDGE}"}
        took = []
        start.wait()
        end = time.perf_counter() + SECONDS.value
        while (begin := time.perf_counter()) < end:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            took.append(1000 * (time.perf_counter() - begin))
        connection.close()
        return took

    with ThreadPoolExecutor(CLIENTS.value) as pool:
        begin = time.perf_counter()
        took = sum(pool.map(client, range(CLIENTS.value)), [])
        elapsed = time.perf_counter() - begin
    return {
        "requests/s": len(took) / elapsed,
        "p50, ms": float(np.percentile(took, 50)),
        "p99, ms": float(np.percentile(took, 99)),
    }


def main(_):
    """Measures, prints and writes the result."""
    body, without = form(SIZE.value), alone(SIZE.value)
    kinds = {
        "a score": ("POST", "/score", body),
        "a score and a heatmap": ("POST", "/score?heatmap=1", body),
        "nothing (/health)": ("GET", "/health", b""),
    }
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        process = multiprocessing.get_context("spawn").Process(
            target=server, args=(listening, SIZE.value), daemon=True
        )
        process.start()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("GET", "/health")  # Answered once all is compiled.
            connection.getresponse().read()
            connection.close()
            found = {name: measure(port, *kind) for name, kind in kinds.items()}
        finally:
            process.terminate()
            process.join()
    rows = [{"": name, **numbers} for name, numbers in found.items()]
    settings = {
        "clients": CLIENTS.value,
        "seconds": SECONDS.value,
        "size": SIZE.value,
    }
    tables = {
        "The scorer alone": [{"": "an autoencoder", **without}],
        "Answers, one picture a request": rows,
    }
    interleave.write(NAME.value, "The page", tables, settings=settings)


if __name__ == "__main__":
    app.run(main)
