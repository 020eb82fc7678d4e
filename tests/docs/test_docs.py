"""What the README and the pages of docs/ show works.

Python blocks run in their order, with small networks and one epoch; commands are
parsed, and those that need no other data run, on a small folder of pictures; links lead
somewhere.
"""

import csv
import functools
import importlib.util
import json
import pathlib
import re
import shlex
import tomllib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from collected import each
from made_pictures import picture

from ocjax import Detector, cli, inference
from ocjax._checks import InputError
from ocjax.cli import launching, train
from ocjax.data import files
from ocjax.evaluation import thresholds
from ocjax.inference import Verdict
from ocjax.runs import config as configs
from ocjax.runs.build import build_method
from ocjax.runs.changes import changed, varied
from ocjax.serve import uploads

ROOT = pathlib.Path(__file__).parents[2]
README, DOCS = ROOT / "README.md", sorted((ROOT / "docs").glob("*.md"))
NOTEBOOKS = sorted((ROOT / "docs").glob("*.ipynb"))
RESULTS = [*(ROOT / "experiments").rglob("*.md"), ROOT / "benchmarks" / "README.md"]
GUIDES = [ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
PAGES = [README, *GUIDES, *DOCS, *NOTEBOOKS, *RESULTS]
STANDS_FOR = {"METHOD": "autoencoder", "DATASET": "mnist"}  # In commands.
short = lambda path: str(path.relative_to(ROOT))


@functools.cache
def text(path):
    """A page; of a notebook its prose."""
    if path.suffix == ".md":
        return path.read_text()
    cells = json.loads(path.read_text())["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] != "code")


def blocks(path, language=""):
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text(path), re.MULTILINE | re.DOTALL)
    return [block for of, block in found if of == language]


def commands(path):
    """Lines of command blocks; those that go on in the next one are one."""
    joined = "".join(blocks(path)).replace("\\\n", " ")
    return [" ".join(line.split()) for line in joined.splitlines()]


COMMAND = re.compile(rf"(?:^|[\s/])(ocjax (?:{'|'.join(cli.COMMANDS)})\b.*)")
OCJAX = sorted(
    {
        found if found.count('"') % 2 == 0 else found.removesuffix('"')
        for path in PAGES
        for command in commands(path)
        for found in COMMAND.findall(command)
    }
)
SCRIPT = re.compile(r"\bpython ((?:experiments|benchmarks)/\S+\.py)(.*)")
SCRIPTS = sorted(
    {found for path in PAGES for c in commands(path) for found in SCRIPT.findall(c)}
)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with what the pages name, but for models."""
    root = tmp_path_factory.mktemp("docs")
    for i in range(140):  # 21 of them are held out, of which 5 % can be promised.
        picture(root / "PICTURES" / "train" / "good" / f"{i:03}.png")
    for i in range(4):
        picture(root / "PICTURES" / "test" / "good" / f"{i}.png")
        picture(root / "PICTURES" / "test" / "scratch" / f"{i}.png", spoilt=True)
        picture(root / "NEW" / f"{i}.png", spoilt=i > 1)
    picture(root / "picture.png")
    (root / "experiments").symlink_to(ROOT / "experiments")
    return root


@pytest.fixture(autouse=True)
def here(place, monkeypatch):
    monkeypatch.chdir(place)
    monkeypatch.setenv("OCJAX_CACHE", str(place / "cache"))


@pytest.fixture(scope="module")
def models(place):
    """The models that the pages name: the README's run, its exports and a detector."""
    (command,) = [c for c in commands(README) if c.startswith("ocjax train ")]
    tiny = "--method=autoencoder --epochs=1 --set report=False"
    tiny += " --set hyper.latent=3 --set hyper.features=2"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("OCJAX_CACHE", str(place / "cache"))
        assert call(f"{command} {tiny}") == 0
        assert call("ocjax export runs/mine --out=mine.ocjax") == 0
        assert call("ocjax export runs/mine --format=onnx --out=mine.onnx") == 0
        images = np.stack([files.read(p, (32, 32, 1)) for p in files.below(place)])
        hyper = {"latent": 3, "features": 2}
        one = Detector("autoencoder", hyper=hyper, epochs=1, false_positive_rate=0.2)
        one.fit(images).save("detector.ocjax")


def parse(command):
    return cli._parse(shlex.split(command))


def call(command):
    return cli._run(parse(command))


def small(block):
    """A block with small networks and one epoch."""
    block = re.sub(r"\bepochs=\d+", "epochs=1", block)
    block = block.replace(
        "ganomaly(Config())", "ganomaly(Config(latent=3, features=2))"
    )
    tiny = '"autoencoder", hyper={"latent": 3, "features": 2},'
    return re.sub(r'(?<=Detector\()(\s*)"autoencoder",', rf"\1{tiny}", block)


@pytest.mark.parametrize(
    "path", [path for path in PAGES if blocks(path, "python")], ids=short
)
def test_the_python_blocks_of_a_page_run(path, models, capsys):
    names = {}
    for block in blocks(path, "python"):
        exec(small(block), names)
    if path.name == "data.md":
        assert "Measures(auroc=" in capsys.readouterr().out
        before = names["evaluation"].score(
            names["method"], names["state"], 2 * names["normals"] - 1
        )
        assert (names["scores"] > before).all()
    if path.name == "deployment.md":  # The file without ocjax, and with it.
        ((_, verdict),) = inference.open("mine.ocjax").judge_files(["picture.png"])
        assert isinstance(verdict, Verdict)
        np.testing.assert_allclose(names["scores"], [verdict.score], rtol=1e-4)
        assert names["anomalous"].tolist() == [verdict.anomalous]
        assert names["heatmaps"].shape == (1, 32, 32)


@each("command", OCJAX)
def test_every_ocjax_command_is_one(command):
    arguments = parse(command)
    if arguments.command != "train":
        return
    values, _ = train.configuration(arguments)
    config, hyper, _ = configs.parse(values)
    assert varied(config, hyper)
    method = build_method(config, hyper, None)
    images = jnp.zeros((1, config.image_size, config.image_size, 1))
    state = jax.eval_shape(method.init, jax.random.key(0), images)
    assert jax.eval_shape(method.score, state, images).shape == (1,)


RUNS = ("score", "evaluate", "report", "export", "methods", "datasets")


@each("command", [c for c in OCJAX if c.split()[1] in RUNS])
def test_commands_run_on_a_small_model(command, models, capsys):
    writes = re.search(r"--out=|--heatmaps=|ocjax export", command)
    assert call(f"{command} --force" if writes else command) == 0
    assert (
        not (out := re.search(r"--out=(\S+)", command)) or pathlib.Path(out[1]).stat()
    )
    if command.startswith("ocjax evaluate"):
        assert json.loads(capsys.readouterr().out)["anomalies"] == 4


def test_the_table_of_scores_has_the_columns_that_the_page_names(models):
    assert call("ocjax score NEW --model=runs/mine --out=columns.csv") == 0
    with open("columns.csv") as file:
        header, *rows = csv.reader(file)
    assert len(rows) == 4
    page = text(ROOT / "docs" / "pictures.md")
    assert re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE) == header


@each("script, flags", SCRIPTS)
def test_every_script_is_there_and_knows_its_flags(script, flags):
    for placeholder, name in STANDS_FOR.items():
        script, flags = (x.replace(placeholder, name) for x in (script, flags))
    source = (ROOT / script).read_text()
    known = re.findall(r'(?:DEFINE_\w+\(|add_argument\()\s*"(?:--)?(\w+)"', source)
    if flags.count('"') % 2:  # The whole command is in quotes.
        flags = flags.removesuffix('"')
    texts, others = launching.config_flags(shlex.split(flags))
    given = [flag.removeprefix("--") for flag in others if flag.startswith("--")]
    values = dict(flag.split("=", 1) for flag in given)
    assert [name for name in values if name not in known] == []
    if "config" in known:
        file = values.get("config", "experiments/lrgdan/digits.py")
        configs.parse(changed(configs.from_file(ROOT / file), texts))


@each("path", PAGES)
def test_links_and_files_are_there(path):
    links = re.findall(r"\]\(([^)\s#]+)", text(path))
    gone = [x for x in links if "://" not in x and not (path.parent / x).exists()]
    assert gone == []
    tops = ("ocjax", "experiments", "docs", "tests", "benchmarks")
    inner = re.findall(rf"(?<![\w/.-])(?:{'|'.join(tops)})/[\w/.]*\w", text(path))
    files = [x for x in inner if not re.search("NAME|METHOD|DATASET", x)]
    assert [x for x in files if not (ROOT / x).exists()] == []
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extra in re.findall(r"(?:\.|ocjax)\[(\w+)\]", text(path)):
        assert extra in extras["optional-dependencies"]
    for module in re.findall(r"python -m ([\w.]+)", text(path)):
        assert importlib.util.find_spec(module)


def test_every_page_is_listed():
    own = {path.name for path in [*DOCS, *NOTEBOOKS]} - {"index.md"}
    index = re.findall(r"\]\((\w+\.\w+)\)", text(ROOT / "docs" / "index.md"))
    assert sorted(index) == sorted(own)
    assert own <= set(re.findall(r"\]\(docs/([\w.]+)\)", text(README)))


def test_the_first_five_minutes_are_short_and_start_with_two_commands():
    assert len(text(README).splitlines()) < 150
    start = "python3 -m venv .venv && .venv/bin/pip install -e"
    assert [block.strip() for block in blocks(README)[:2]] == [
        f"{start} . && .venv/bin/ocjax train --config=experiments/lrgdan/digits.py",
        f"{start} '.[dev]' && .venv/bin/pytest -n 2",
    ]


def test_quoted_numbers_are_in_the_files_beside_them():
    page, counted = ROOT / "docs" / "methods.md", 0
    prose = re.sub(r"^```.*?^```$", "", text(page), flags=re.MULTILINE | re.DOTALL)
    prose = re.sub(r"<!-- results: begin.*results: end -->", "", prose, flags=re.DOTALL)
    for item in re.split(r"\n\s*\n|\n(?=- )", prose):
        linked = re.findall(r"\]\(([^)]+\.md)\)", item)
        for number in re.findall(r"\b\d\.\d{3}\b|\b\d+\.\d\b|\b\d{3}\b", item):
            counted += 1
            assert any(number in text((page.parent / x).resolve()) for x in linked)
    assert counted > 10


def test_as_many_normals_are_needed_as_the_page_says():
    page = text(ROOT / "docs" / "thresholds.md")
    table = re.findall(r"^\| ([\d.]+) % \| (\d+) \|$", page, re.MULTILINE)
    assert len(table) == 3
    for per_cent, needed in table:
        rate, scores = float(per_cent) / 100, np.arange(int(needed))
        assert thresholds.from_normals(scores, rate).value == scores[-1]
        with pytest.raises(InputError, match=f"at least {needed}"):
            thresholds.from_normals(scores[1:], rate)


def test_pages_name_the_formats_and_limits_of_files():
    page = text(ROOT / "docs" / "pictures.md")
    assert all(f"`{suffix}`" in page for suffix in files.SUFFIXES)
    assert f"{files.PIXELS // 10**6} million pixels" in page


def test_pages_name_the_limits_of_the_server():
    page = text(ROOT / "docs" / "deployment.md")
    assert f"{uploads.FILES} files, {uploads.FILE_BYTES >> 20} MiB in a file" in page
    assert f"{uploads.REQUEST_BYTES >> 20} MiB in all" in page
