"""The page in a real browser."""

import os
import pathlib

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("python_multipart")
import chromium
import toy

if chromium.find() is None:
    pytest.skip("There is no Chromium to open the page in.", allow_module_level=True)

HOSTILE = "<img src=x onerror=document.title='broken'>.png"
CARD = "document.querySelectorAll('#results article')"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium.page(tmp_path_factory.mktemp("chromium")) as page:
        yield page


@pytest.fixture(scope="module")
def address():
    with toy.running(toy.scorer()) as found:
        yield found


@pytest.fixture
def page(browser, address):
    browser.events.clear()
    browser.look(1000)
    browser.open(f"{address}/")
    browser.wait("document.getElementById('model').textContent != ''")
    yield browser
    # That of a file that is no picture is expected.
    assert [x for x in browser.complaints() if "status of 422" not in x] == []
    for asked in browser.addresses():
        assert asked.startswith((address, "blob:", "data:"))


@pytest.fixture
def pictures(tmp_path) -> dict[str, pathlib.Path]:
    contents = {
        "dark.png": toy.picture(0.3),
        "bright.png": toy.picture(0.6, size=(60, 30)),
        "text.png": b"no picture",
        HOSTILE: toy.picture(0.35),
        "scan.tiff": toy.picture(0.39, "TIFF"),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    return {name: tmp_path / name for name in contents}


def shown(page, count: int) -> None:
    """Waits until so many files have an answer and all pictures are there."""
    page.wait(
        f"document.querySelectorAll('#results article, #results .error').length"
        f" == {count} && document.querySelectorAll('#results .muted:empty').length == 0"
        f" && [...document.images].every((x) => x.complete)"
    )


def test_chosen_pictures_are_scored(page, pictures):
    page.choose("#files", pictures["dark.png"], pictures["bright.png"])
    shown(page, 2)
    expected = [("dark.png", "Normal", 0.3), ("bright.png", "Anomalous", 0.6)]
    for i, (name, decision, score) in enumerate(expected):
        card = f"{CARD}[{i}]"
        assert page.run(f"{card}.querySelector('h2').textContent") == name
        assert page.run(f"{card}.querySelector('.decision').textContent") == decision
        text = page.run(f"{card}.querySelector('.score').textContent")
        assert text.startswith("score ") and text.endswith(", threshold 0.4")
        found = float(text.split()[1].rstrip(","))
        assert found == pytest.approx(score, abs=0.01)
        assert page.run(f"{card}.className") == decision.lower()
        widths = page.run(
            f"[...{card}.querySelectorAll('img')].map((x) => x.naturalWidth)"
        )
        assert widths == [{"dark.png": 24, "bright.png": 60}[name], toy.SIZE]
        # A heatmap has the shape of its picture.
        boxes = page.run(
            f"[...{card}.querySelectorAll('img')]"
            ".map((x) => [x.clientWidth, x.clientHeight])"
        )
        assert boxes[0] == boxes[1]
        assert page.run(f"{card}.querySelectorAll('svg .threshold').length") == 1
        assert page.run(f"{card}.querySelectorAll('svg .mark').length") >= 1
        assert "of 199 held-out normal pictures" in page.run(f"{card}.textContent")
    colours = page.run(
        f"[...{CARD}].map((x) => "
        "getComputedStyle(x.querySelector('.decision')).backgroundColor)"
    )
    assert colours == ["rgb(0, 114, 178)", "rgb(213, 94, 0)"]
    status = page.run("document.getElementById('status').textContent")
    assert sorted(status.split(", ")) == ["1 anomalous", "1 normal"]


def test_dropped_pictures_are_scored_and_others_have_one_line(page, pictures):
    page.drop(*pictures.values())
    shown(page, 5)
    assert page.run(f"{CARD}.length") == 4
    assert page.run("document.querySelectorAll('.error').length") == 1
    assert page.run("document.querySelector('#results .error').textContent").startswith(
        "text.png"
    )
    names = page.run(f"[...{CARD}].map((x) => x.querySelector('h2').textContent)")
    assert names == ["dark.png", "bright.png", HOSTILE, "scan.tiff"]
    assert page.run("document.title") == "Score pictures"
    assert page.run("document.querySelectorAll('img[src=x]').length") == 0
    page.run("document.getElementById('clear').click()")
    assert page.run("document.getElementById('results').children.length") == 0
    assert page.run("document.activeElement.id") == "files"
    page.choose("#files", pictures["dark.png"])
    shown(page, 1)


def test_tall_and_wide_pictures_keep_their_shape(page, tmp_path):
    for name, size in {"tall.png": (20, 200), "wide.png": (200, 20)}.items():
        (tmp_path / name).write_bytes(toy.picture(0.3, size=size))
    page.choose("#files", tmp_path / "tall.png", tmp_path / "wide.png")
    shown(page, 2)
    shapes = page.run(
        f"[...{CARD}].map((x) => [...x.querySelectorAll('img')]"
        ".map((y) => y.clientHeight / y.clientWidth))"
    )
    assert shapes[0] == pytest.approx([10, 10], rel=0.1)
    assert shapes[1] == pytest.approx([0.1, 0.1], rel=0.1)


def test_many_pictures_keep_their_order(page, tmp_path):
    paths = []
    for i in range(40):
        paths.append(tmp_path / f"{i}.png")
        paths[-1].write_bytes(toy.picture(0.1 + i / 60))
    page.choose("#files", *paths)
    shown(page, 40)
    names = page.run(f"[...{CARD}].map((x) => x.querySelector('h2').textContent)")
    assert names == [f"{i}.png" for i in range(40)]


def test_the_keyboard_reaches_all(page, pictures):
    page.choose("#files", pictures["dark.png"])
    shown(page, 1)
    page.run("document.activeElement.blur()")
    reached = []
    for _ in range(2):
        page.press("Tab")
        reached.append(page.run("document.activeElement.id"))
    assert reached == ["files", "clear"]


@pytest.mark.parametrize("width", [320, 1200])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits(page, pictures, width, dark):
    page.look(width, dark=dark)
    page.choose("#files", pictures["dark.png"], pictures["bright.png"])
    shown(page, 2)
    assert page.run("document.documentElement.scrollWidth") <= width
    background = page.run("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(15, 20, 25)" if dark else "rgb(255, 255, 255)")
    if folder := os.environ.get("OCJAX_SCREENSHOTS"):
        name = f"serve_{'dark' if dark else 'light'}_{width}.png"
        (pathlib.Path(folder) / name).write_bytes(page.screenshot())


def test_a_server_that_is_gone_is_told(browser, pictures):
    browser.look(1000)
    with toy.running(toy.scorer(normals=(), threshold=None)) as address:
        browser.open(f"{address}/")
        browser.choose("#files", pictures["dark.png"])
        shown(browser, 1)
        text = browser.run(f"{CARD}[0].textContent")
        assert "No decision" in text and "no held-out normals" in text
    browser.choose("#files", pictures["dark.png"])
    browser.wait("document.querySelector('#results .error') != null")
    line = browser.run("document.querySelector('#results .error').textContent")
    assert line.startswith("dark.png was not scored: the server does not answer")
    browser.events.clear()
