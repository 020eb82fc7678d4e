"""A scorer of plain functions, its pictures, and a server of it."""

import contextlib
import io
import socket
import threading
import time
from collections.abc import Iterator

import numpy as np
import uvicorn
from PIL import Image

from ocjax.inference.scorer import Card, Scorer
from ocjax.serve.app import create_app

SIZE = 16
NORMALS = tuple(np.random.default_rng(0).normal(0.3, 0.04, 199).clip(0.1, 0.5))


def card(normals=NORMALS, threshold=0.4, channels=3, fit="stretch") -> Card:
    return Card(
        "toy",
        "grey pictures",
        SIZE,
        channels,
        tuple(sorted(map(float, normals))),
        0.02,
        threshold,
        "1.2.3",
        "abc",
        fit=fit,
    )


def brightness(images: np.ndarray) -> np.ndarray:
    return (images / 255).mean((1, 2, 3)).astype(np.float32)


def explained(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return brightness(images), (images / 255).mean(-1).astype(np.float32)


def scorer(**fields) -> Scorer:
    """The brighter a picture, the more anomalous."""
    return Scorer(card(**fields), brightness, explained)


def picture(level: float, kind="PNG", mode="RGB", size=(24, 20)) -> bytes:
    """A picture of about one brightness, darker to one side."""
    ramp = np.linspace(level - 0.08, level + 0.08, size[0])[None, :, None]
    pixels = np.uint8(255 * np.broadcast_to(ramp, (size[1], size[0], 3)))
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind)
    return buffer.getvalue()


@contextlib.contextmanager
def running(served: Scorer) -> Iterator[str]:
    """The address of a server that runs in a thread."""
    config = uvicorn.Config(
        create_app(served), log_level="warning", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)
