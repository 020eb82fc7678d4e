import base64
import builtins
import gc
import http.client
import importlib.util
import io
import itertools
import re
import socket
import struct
import tempfile
import threading
import time
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from collected import each

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("python_multipart")
pytest.importorskip("httpx2")
import toy
from PIL import Image, ImageFile
from starlette.testclient import TestClient

from ocjax import _extras
from ocjax._checks import InputError
from ocjax.data import files
from ocjax.inference import opening
from ocjax.inference.scorer import Scorer
from ocjax.serve import serve, server, uploads
from ocjax.serve.app import create_app
from ocjax.serve.batches import LARGEST, Batches

HERE = "http://localhost:8000"
GOOD = toy.picture(0.3)


def client(scorer: Scorer | None = None, base=HERE, **settings) -> TestClient:
    return TestClient(create_app(scorer or toy.scorer(), **settings), base_url=base)


def send(*named: tuple[str, bytes], to=None, query="", **headers):
    sent = [("file", (name, content)) for name, content in named]
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return (to or client()).post(f"/score{query}", files=sent, headers=headers)


def only(response, status=200) -> dict:
    assert response.status_code == status
    (result,) = response.json()["results"]
    return result


def refused(response, status: int, words: str) -> None:
    assert response.status_code == status
    (line,) = response.json().values()
    assert words in line and "\n" not in line


# Verdicts


@pytest.mark.parametrize("heatmap", [False, True])
def test_results_are_those_of_the_scorer(heatmap):
    scorer, levels = toy.scorer(), [0.2, 0.35, 0.41, 0.7]
    contents = [toy.picture(level) for level in levels]
    images = [files.decode(x, "", scorer.card.shape) for x in contents]
    expected = scorer.judge(np.stack(images), explain=heatmap)
    above, p_values, percentiles = expected[1:4]
    assert above is not None and percentiles is not None and p_values is not None
    response = send(
        *[(f"{i}.png", x) for i, x in enumerate(contents)],
        query="?heatmap=1" if heatmap else "",
    )
    assert response.status_code == 200
    results = response.json()["results"]
    assert [result["name"] for result in results] == [f"{i}.png" for i in range(4)]
    for i, result in enumerate(results):
        assert result["score"] == expected.scores[i]
        assert result["decision"] == ["normal", "anomalous"][int(above[i])]
        assert result["threshold"] == 0.4
        assert result["percentile"] == percentiles[i]
        assert result["p_value"] == p_values[i]
        assert ("heatmap" in result) == heatmap
    assert {result["decision"] for result in results} == {"normal", "anomalous"}


def test_a_heatmap_is_a_png_as_large_as_the_models_pictures():
    address = only(send(("a.png", GOOD), query="?heatmap=1"))["heatmap"]
    start, _, content = address.partition(",")
    assert start == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(content))) as image:
        assert image.format == "PNG" and image.size == (toy.SIZE, toy.SIZE)
        pixels = np.asarray(image).astype(int)
    # Bright at the right, where the toy's heatmap is: there the colours are.
    colour = np.ptp(pixels, axis=-1).mean(0)
    assert colour[-1] > 50
    assert "heatmap" not in only(send(("a.png", GOOD), query="?heatmap=0"))


def test_a_heatmap_is_of_the_picture_without_padding():
    wide = toy.picture(0.3, size=(40, 20))
    sizes = {"stretch": (16, 16), "pad": (16, 8), "cut": (16, 16)}
    for fit, size in sizes.items():
        to = client(toy.scorer(fit=fit))
        address = only(send(("a.png", wide), to=to, query="?heatmap=1"))["heatmap"]
        content = base64.b64decode(address.partition(",")[2])
        with Image.open(io.BytesIO(content)) as image:
            assert image.size == size
        assert to.get("/model").json()["fit"] == fit


def test_grey_models_and_their_heatmaps():
    result = only(
        send(("a", GOOD), to=client(toy.scorer(channels=1)), query="?heatmap=1")
    )
    assert result["score"] == pytest.approx(0.3, abs=0.01)
    assert result["heatmap"].startswith("data:image/png")


def test_without_threshold_or_normals_nothing_is_decided():
    result = only(send(("a", GOOD), to=client(toy.scorer(normals=(), threshold=None))))
    expected = ("decision", "threshold", "percentile", "p_value")
    assert [result[name] for name in expected] == [None] * 4


def test_a_score_that_is_no_number_is_an_error_of_its_file():
    def score(images):
        found = toy.brightness(images)
        return np.where(found > 0.6, np.float32("nan"), found)

    to = client(Scorer(toy.card(), score, toy.explained))
    response = send(("a", GOOD), ("b", toy.picture(0.8)), to=to)
    first, second = response.json()["results"]
    assert "score" in first and "no finite score" in second["error"]


def test_a_failing_model_costs_a_line_and_not_the_server():
    calls = []

    def score(images):
        calls.append(len(images))
        if len(calls) == 2:  # The first one is at the start.
            raise RuntimeError("secret\ndetails")
        return toy.brightness(images)

    to = client(Scorer(toy.card(), score, toy.explained))
    response = send(("a", GOOD), to=to)
    refused(response, 500, "model failed")
    assert "secret" not in response.text
    assert response.headers["x-content-type-options"] == "nosniff"
    only(send(("a", GOOD), to=to))


def test_the_model_is_warmed_up_with_and_without_heatmaps():
    seen = []
    note = lambda kind, function: (
        lambda x: (seen.append((kind, x.shape)), function(x))[1]
    )
    create_app(
        Scorer(toy.card(), note("score", toy.brightness), note("map", toy.explained))
    )
    shape = (1, toy.SIZE, toy.SIZE, 3)
    assert seen == [("score", shape), ("map", shape)]


# Files


@pytest.mark.parametrize(
    ("kind", "mode"), [("JPEG", "CMYK"), ("WEBP", "RGB"), ("GIF", "P"), ("TIFF", "L")]
)
def test_other_kinds_of_pictures(kind, mode):
    result = only(send(("a", toy.picture(0.3, kind, mode))))
    assert result["score"] == pytest.approx(0.3, abs=0.02)


def bomb() -> bytes:
    def part(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 0, 0, 0, 0)
    lines = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n"
        + part(b"IHDR", header)
        + part(b"IDAT", lines)
        + part(b"IEND", b"")
    )


BAD = {
    "empty.png": (b"", "it is empty"),
    "text.png": (b"not a picture, whatever its name says", "no readable image"),
    "page.png": (b"<svg onload=alert(1)>", "no readable image"),
    "bomb.png": (bomb(), "more than the 100,000,000"),
    "cut.png": (GOOD[:60], "no readable image"),
}


@each("name", BAD)
def test_a_bad_file_has_one_line_and_the_others_are_scored(name):
    content, words = BAD[name]
    response = send(("a.png", GOOD), (name, content), ("b.png", GOOD))
    assert response.status_code == 200
    first, bad, last = response.json()["results"]
    assert first["score"] == last["score"]
    assert set(bad) == {"name", "error"} and bad["name"] == name
    assert words in bad["error"] and name in bad["error"] and "\n" not in bad["error"]


def test_a_bad_file_is_not_kept_in_memory():
    """Not even until a garbage collection, which in a large process is rare."""
    to, cut = client(), toy.picture(0.3, "BMP")[:-1]
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            assert send(("a.bmp", cut), to=to).status_code == 422
        assert not [x for x in gc.get_objects() if isinstance(x, ImageFile.ImageFile)]
    finally:
        gc.enable()


def test_where_none_is_scored_the_status_says_so():
    response = send(*[(name, content) for name, (content, _) in BAD.items()])
    assert response.status_code == 422
    assert [x["name"] for x in response.json()["results"]] == list(BAD)


@each(
    "name, expected",
    [
        ("<img src=x onerror=alert(1)>.png", "<img src=x onerror=alert(1)>.png"),
        ("../../etc/passwd.png", "passwd.png"),
        ("/etc/passwd", "passwd"),
        ("C:\\windows\\a.png", "a.png"),
        ("два 画像.png", "два 画像.png"),
        ("a\u202egnp.exe", "a?gnp.exe"),
        ("a\x1b[31m\tb", "a?[31m?b"),
        ("..", ".."),
        ("folder/", "picture"),
    ],
)
def test_hostile_names(name, expected):
    # The client quotes some characters, so the name is given to the function too.
    assert uploads.one_line(name) == expected
    for content in (GOOD, b"no picture"):
        (result,) = send((name, content)).json()["results"]
        assert "\n" not in result["name"] and "/" not in result["name"]
        assert "passwd" in result["name"] or "root:" not in str(result)


def test_a_name_of_several_lines_is_one_and_a_long_one_is_cut():
    assert uploads.one_line("a\r\nb\u2028c") == "a??b?c"
    long = uploads.one_line("x" * 5000 + ".png")
    assert len(long) == 120 and long.endswith(".png")


def test_nothing_is_written_and_no_file_opened(monkeypatch):
    large = toy.picture(0.3, "BMP", size=(1000, 1000))  # Starlette would spool it.
    assert len(large) > 2 * 2**20
    to = client()
    opened = []
    real = builtins.open
    monkeypatch.setattr(
        builtins, "open", lambda *a, **k: (opened.append(a), real(*a, **k))[1]
    )
    rolled = []
    monkeypatch.setattr(
        tempfile.SpooledTemporaryFile, "rollover", lambda self: rolled.append(self)
    )
    only(send(("a.bmp", large), to=to))
    assert not opened and not rolled


# Limits


def raw(content: bytes | Iterable[bytes] = b"", **headers):
    """A request whose headers are as given."""
    fields = {"content-type": "multipart/form-data; boundary=x"}
    fields |= {name.replace("_", "-"): value for name, value in headers.items()}
    return client().post("/score", content=content, headers=fields)


def test_what_announces_too_much_is_refused_unread():
    def body():
        raise AssertionError("It was read.")
        yield b""

    length = str(uploads.REQUEST_BYTES + 1)
    refused(raw(body(), content_length=length), 413, "128 MiB")
    refused(raw(body(), content_length="9" * 30), 413, "128 MiB")


@each("length", ["", "-1", "1e3", "²"])
def test_a_length_must_be_announced(length):
    headers = [
        (b"content-type", b"multipart/form-data; boundary=x"),
        (b"content-length", length.encode()),
    ]
    refused(client().post("/score", headers=headers), 411, "Content-Length")


def test_more_than_was_announced_is_not_read(monkeypatch):
    monkeypatch.setattr(uploads, "REQUEST_BYTES", 2**20)
    refused(raw(bytes(2**20 + 1), content_length="10"), 413, "1 MiB")


def test_a_large_file_is_refused_and_one_of_the_limit_is_not(monkeypatch):
    monkeypatch.setattr(uploads, "FILE_BYTES", 2**20)
    refused(send(("a", GOOD + bytes(2**20 - len(GOOD) + 1))), 413, "1 MiB")
    only(send(("a", GOOD + bytes(2**20 - len(GOOD)))))
    assert uploads.FILES == LARGEST == 32


def test_the_limit_of_a_file():
    assert uploads.FILE_BYTES == 20 * 2**20
    refused(send(("a", bytes(uploads.FILE_BYTES + 1))), 413, "20 MiB")


def test_the_number_of_files():
    assert len(send(*[("a", GOOD)] * 32).json()["results"]) == 32
    refused(send(*[("a", GOOD)] * 33), 413, "32")


def test_what_is_no_form_with_files():
    refused(client().post("/score", content=GOOD), 415, "multipart/form-data")
    refused(client().post("/score", json={"file": "x"}), 415, "multipart/form-data")
    refused(client().post("/score"), 415, "multipart/form-data")
    refused(client().post("/score", files={"other": ("a", GOOD)}), 422, "'file'")
    refused(
        client().post("/score", data={"file": "/etc/passwd"}, files={"b": b""}),
        422,
        "'file'",
    )
    refused(raw(b"not a form", content_length="10"), 400, "multipart")
    refused(raw(content_type="multipart/form-data", content_length="0"), 400, "ound")


def test_fields_are_few():
    many = {f"field{i}": "x" for i in range(9)}
    sent = client().post("/score", data=many, files={"file": ("a", GOOD)})
    refused(sent, 413, "Too many fields")


# Who may ask


@each(
    "host", ["localhost", "LOCALHOST:8000", "127.0.0.1:80", "127.9.9.9", "[::1]:8000"]
)
def test_hosts_that_are_this_machine(host):
    assert client().get("/health", headers={"host": host}).json() == {"status": "ok"}


OTHER_HOSTS = [
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil@localhost",
    "localhost/",
    "10.0.0.1",
    "0.0.0.0",
    "[::]",
    "::1",
    "2130706433",
    "",
    "localhost:x",
]


@each(
    "host, path",
    itertools.product(OTHER_HOSTS, ["/", "/model", "/health", "/nothing"]),
)
def test_other_hosts_are_refused(host, path):
    refused(client().get(path, headers={"host": host}), 421, "localhost")


def test_on_a_network_any_host_may_be_named():
    open_to_all = client(loopback=False)
    assert open_to_all.get("/health", headers={"host": "box.lan"}).status_code == 200
    only(send(("a", GOOD), to=open_to_all, host="box.lan", origin="http://box.lan"))
    refused(
        send(("a", GOOD), to=open_to_all, host="box.lan", origin="http://evil.example"),
        403,
        "other web pages",
    )


@each(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://localhost:9000"},
        {"origin": "http://localhost"},
        {"origin": "http://localhost:8000.evil.example"},
        {"origin": "http://evil@localhost:8000"},
        {"origin": "file://localhost:8000"},
        {"origin": "http://[::1"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": HERE, "sec_fetch_site": "cross-site"},
    ],
)
def test_posts_of_other_pages_are_refused(headers):
    refused(send(("a", GOOD), **headers), 403, "other web pages")


@each(
    "headers",
    [{}, {"origin": HERE}, {"origin": HERE, "sec_fetch_site": "same-origin"}],
)
def test_own_posts_are_answered(headers):
    only(send(("a", GOOD), **headers))


def test_headers_of_every_answer():
    to = client()
    answers = [
        to.get("/"),
        to.get("/model"),
        to.get("/health"),
        to.get("/nothing"),
        to.get("/score"),
        to.get("/", headers={"host": "evil.example"}),
        send(("a", GOOD), to=to),
        send(("a", GOOD), to=to, origin="http://evil.example"),
        to.options("/score", headers={"origin": HERE}),
    ]
    statuses = [200, 200, 200, 404, 405, 421, 200, 403, 405]
    assert [answer.status_code for answer in answers] == statuses
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith(
            "default-src 'none'"
        )
        assert answer.headers["cache-control"] == "no-store"
        assert not [x for x in answer.headers if x.startswith("access-control")]


@pytest.mark.parametrize("path", ["/../app.py", "/page.html", "/%2e%2e/app.py"])
def test_no_file_is_served(path):
    assert client().get(path).status_code == 404


# The page and the model


def test_the_page_asks_nothing_of_others_and_runs_only_its_own_script():
    first, second = client().get("/"), client().get("/")
    assert first.headers["content-type"] == "text/html; charset=utf-8"
    policy = first.headers["content-security-policy"]
    nonces = set(re.findall(r"nonce-([\w-]+)", policy))
    assert nonces == set(re.findall(r'nonce="([^"]+)"', first.text))
    assert len(nonces) == 1 and len(nonces.pop()) >= 20
    assert policy != second.headers["content-security-policy"]
    assert "unsafe" not in policy and "*" not in policy
    text = first.text.replace("http://www.w3.org/2000/svg", "")
    assert "://" not in text and "{{" not in text
    for risky in ("innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", " style="):
        assert risky not in text


def test_the_model_tells_of_its_normals_but_not_which():
    told = client().get("/model").json()
    card = toy.card()
    histogram = told.pop("histogram")
    assert told == {
        "method": "toy",
        "trained_on": "grey pictures",
        "size": toy.SIZE,
        "channels": 3,
        "fit": "stretch",
        "normals": len(card.normals),
        "false_positive_rate": 0.02,
        "threshold": 0.4,
        "version": "1.2.3",
        "commit": "abc",
    }
    assert sum(histogram["counts"]) == len(card.normals)
    assert len(histogram["edges"]) == len(histogram["counts"]) + 1
    assert histogram["edges"][0] == card.normals[0]
    bare = client(toy.scorer(normals=(), threshold=None)).get("/model").json()
    assert bare["normals"] == 0 and bare["histogram"] == {"edges": [], "counts": []}


# Many at a time


class Slow:
    """A scorer that notes its calls, and waits in the first ones for a signal."""

    def __init__(self):
        self.sizes, self.go = [], threading.Event()
        self.go.set()
        self.busy = 0
        self.scorer = Scorer(toy.card(), self.score, toy.explained)

    def score(self, images):
        self.busy += 1
        assert self.busy == 1, "Called by two threads."
        self.sizes.append(len(images))
        self.go.wait(20)
        self.busy -= 1
        return toy.brightness(images)


def test_images_that_wait_are_judged_together():
    slow = Slow()
    batches = Batches(slow.scorer)
    images = np.random.default_rng(0).integers(0, 256, (80, toy.SIZE, toy.SIZE, 3))
    images = images.astype(np.uint8)
    slow.go.clear()
    futures = batches.submit(images[:1])
    while not slow.sizes:
        time.sleep(0.001)
    futures += [batches.submit([image])[0] for image in images[1:40]]
    futures += batches.submit(images[40:60]) + batches.submit(images[60:])
    slow.go.set()
    found = [future.result(20) for future in futures]
    assert slow.sizes == [1, 32, 32, 15]
    expected = toy.scorer().judge(images)
    np.testing.assert_array_equal([one.score for one in found], expected.scores)
    np.testing.assert_array_equal([one.p_value for one in found], expected.p_values)


def test_with_and_without_heatmaps_do_not_mix():
    batches = Batches(toy.scorer())
    image = np.full((toy.SIZE, toy.SIZE, 3), 50, np.uint8)
    (plain,), (mapped,) = (
        batches.submit([image]),
        batches.submit([image], explain=True),
    )
    assert plain.result(20).heatmap is None
    assert mapped.result(20).heatmap.shape == (toy.SIZE, toy.SIZE)
    assert batches.submit([]) == []
    with pytest.raises(ValueError, match="at most 32"):
        batches.submit([image] * 33)


def test_what_was_given_up_is_not_judged():
    slow = Slow()
    batches = Batches(slow.scorer)
    image = np.zeros((toy.SIZE, toy.SIZE, 3), np.uint8)
    slow.go.clear()
    (first,) = batches.submit([image])
    while not slow.sizes:
        time.sleep(0.001)
    second, third = batches.submit([image, image])
    assert second.cancel()
    slow.go.set()
    assert first.result(20) and third.result(20)
    assert slow.sizes == [1, 1]


def test_concurrent_requests_get_their_own_results():
    slow = Slow()
    levels = np.linspace(0.1, 0.9, 24)
    with toy.running(slow.scorer) as address:
        import httpx2

        def ask(level):
            content = toy.picture(level)
            files = [("file", (f"{level}.png", content)), ("file", ("bad", b"bad"))]
            response = httpx2.post(f"{address}/score", files=files, timeout=30)
            return response.status_code, response.json()["results"]

        with ThreadPoolExecutor(12) as pool:
            found = list(pool.map(ask, levels))
        # The server answers while the scorer works.
        slow.go.clear()
        with ThreadPoolExecutor(1) as pool:
            calls = len(slow.sizes)
            waiting = pool.submit(ask, 0.5)
            while len(slow.sizes) == calls:
                time.sleep(0.001)
            assert httpx2.get(f"{address}/health", timeout=10).status_code == 200
            assert not waiting.done()
            slow.go.set()
            assert waiting.result(30)[0] == 200
    for level, (status, (good, bad)) in zip(levels, found, strict=True):
        image = files.decode(toy.picture(level), "", (toy.SIZE, toy.SIZE, 3))
        assert status == 200 and good["name"] == f"{level}.png"
        assert good["score"] == toy.brightness(image[None])[0]
        assert "error" in bad


def test_an_upload_that_is_broken_off_leaves_the_server_alive():
    with toy.running(toy.scorer()) as address:
        port = int(address.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as raw_socket:
            raw_socket.sendall(
                b"POST /score HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n"
                b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
            )
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/health")
        assert connection.getresponse().status == 200
        connection.close()


# The start


@pytest.fixture
def started(monkeypatch):
    """Arguments of a server that would run."""
    found = []
    monkeypatch.setattr(opening, "_opened", lambda path: toy.scorer())
    monkeypatch.setattr(server, "_run", lambda *arguments: found.append(arguments))
    return found


def test_serve_prints_where_it_is(started, capsys):
    serve("model", port=0)
    printed = capsys.readouterr().out
    assert re.fullmatch(
        r"Drop pictures at http://127\.0\.0\.1:[1-9]\d+ \(Ctrl-C ends it\)\n", printed
    )
    ((app, _),) = started
    assert TestClient(app, base_url="http://evil.example").get("/").status_code == 421


def test_serve_warns_where_others_can_connect(started, capsys):
    serve("model", host="0.0.0.0", port=0)
    warning, address = capsys.readouterr().out.splitlines()
    assert "anyone on the network" in warning and "0.0.0.0:" in address
    ((app, _),) = started
    assert TestClient(app, base_url="http://box.lan").get("/").status_code == 200


def test_serve_sets_the_threshold_for_a_rate(started):
    serve("model", port=0, false_positive_rate=0.1)
    ((app, _),) = started
    told = TestClient(app, base_url=HERE).get("/model").json()
    expected = toy.scorer().at(0.1).card.threshold
    assert told["threshold"] == expected and told["false_positive_rate"] == 0.1
    with pytest.raises(InputError, match="false-positive rate"):
        serve("model", port=0, false_positive_rate=2.0)


def test_serve_where_it_cannot_listen(started):
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port}: Address already in use"):
            serve("model", port=port)
    for host in ("no.such.host.invalid", "1.2.3.4", "", "a b", "x" * 300, "\0"):
        with pytest.raises(InputError) as error:
            serve("model", host=host, port=0)
        assert "\n" not in str(error.value)
    for port in (-1, 65536):
        with pytest.raises(InputError, match="0 to 65535"):
            serve("model", port=port)
    assert not started


def test_serve_of_no_model(tmp_path):
    with pytest.raises(InputError, match="no run folder or model file"):
        serve(str(tmp_path / "none"), port=0)


@pytest.mark.parametrize("name", server._NEEDED)
def test_serve_without_its_packages(name, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda x: None if x == name else found(x)
    )
    with pytest.raises(InputError, match=re.escape(_extras.install("serve"))):
        serve("model")


def test_the_server_runs_until_it_is_interrupted(monkeypatch):
    import uvicorn

    def run(self, sockets):
        raise KeyboardInterrupt

    monkeypatch.setattr(opening, "_opened", lambda path: toy.scorer())
    monkeypatch.setattr(uvicorn.Server, "run", run)
    serve("model", port=0)
