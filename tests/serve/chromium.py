"""Drives a headless Chromium through the pipe of its DevTools protocol."""

import base64
import contextlib
import fcntl
import json
import os
import pathlib
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 60.0  # Seconds for an answer.
# Chromium reads commands from descriptor 3 and writes answers to 4.
_START = (
    "import os, sys; r, w = map(int, sys.argv[1:3]); os.dup2(r, 3); os.dup2(w, 4); "
    "os.execv(sys.argv[3], sys.argv[3:])"
)


def find() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """A tab."""

    def __init__(self, read: int, write: int):
        self._read, self._write, self._rest = read, write, b""
        self._count, self._session = 0, None
        self.events = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "DOM", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters) -> dict:
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._count:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def _next(self) -> dict:
        end = time.monotonic() + PATIENCE
        while b"\0" not in self._rest:
            ready, _, _ = select.select(
                [self._read], [], [], max(0, end - time.monotonic())
            )
            assert ready, "Chromium does not answer."
            part = os.read(self._read, 1 << 20)
            assert part, "Chromium ended."
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def run(self, script: str):
        """The value of an expression, or of what it promises."""
        found = self.call(
            "Runtime.evaluate",
            expression=script,
            returnByValue=True,
            awaitPromise=True,
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, script: str) -> None:
        """Until an expression is true."""
        end = time.monotonic() + PATIENCE
        while not self.run(script):
            assert time.monotonic() < end, (script, self.run("document.body.innerText"))
            time.sleep(0.05)

    def open(self, address: str) -> None:
        self.call("Page.navigate", url=address)
        self.wait(
            f"location.href.startsWith({json.dumps(address)}) "
            "&& document.readyState == 'complete'"
        )

    def choose(self, selector: str, *paths: pathlib.Path) -> None:
        """As a person chooses files in the dialogue of an input."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(p) for p in paths])

    def drop(self, *paths: pathlib.Path, x: int = 100, y: int = 150) -> None:
        """As a person drags files there from another window."""
        data = {
            "items": [],
            "files": [str(path) for path in paths],
            "dragOperationsMask": 1,
        }
        for kind in ("dragEnter", "dragOver", "drop"):
            self.call("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def press(self, key: str) -> None:
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def look(self, width: int, height: int = 800, *, dark: bool = False) -> None:
        """Sets the window's size and the colours that the person prefers."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self) -> bytes:
        """The whole page as a PNG file."""
        found = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(found["data"])

    def complaints(self) -> list[str]:
        """What the console says of errors, and what was not loaded."""
        self.run("0")  # What is on its way arrives.
        bad = ("Runtime.exceptionThrown", "Network.loadingFailed")
        return [
            json.dumps(event["params"])
            for event in self.events
            if event["method"] in bad
            or event["method"] == "Log.entryAdded"
            and event["params"]["entry"]["level"] == "error"
        ]

    def addresses(self) -> list[str]:
        """What was asked for."""
        return [
            event["params"]["request"]["url"]
            for event in self.events
            if event["method"] == "Network.requestWillBeSent"
        ]


@contextlib.contextmanager
def page(folder: pathlib.Path) -> Iterator[Page]:
    """A tab of a Chromium of its own, whose files are in `folder`."""
    program = find()
    assert program
    commands, answers = os.pipe(), os.pipe()
    # So high that moving one to 3 or 4 does not close the other.
    theirs = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (commands[0], answers[1])]
    os.close(commands[0])
    os.close(answers[1])
    process = subprocess.Popen(
        [sys.executable, "-c", _START, *map(str, theirs), program]
        + ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
        + ["--disable-dev-shm-usage", "--disable-background-networking"]
        + [f"--user-data-dir={folder}", "--remote-debugging-pipe"],
        pass_fds=theirs,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"HOME": str(folder)},
    )
    for fd in theirs:
        os.close(fd)
    try:
        tab = Page(answers[0], commands[1])
        yield tab
        tab._session = None
        tab.call("Browser.close")
        process.wait(PATIENCE)
    finally:
        process.kill()
        process.wait()
        os.close(commands[1])
        os.close(answers[0])
