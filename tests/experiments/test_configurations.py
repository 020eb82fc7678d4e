import json
import pathlib
import re
import shlex
import statistics

from collected import each

from ocjax import data, methods, runs
from ocjax.cli import launching
from ocjax.data.sources.sounds import SCENES
from ocjax.runs.changes import changed
from ocjax.runs.config import from_file, parse

EXPERIMENTS = pathlib.Path(__file__).parents[2] / "experiments"
FILES = sorted(EXPERIMENTS.glob("*/*.py"))
PAPERS = sorted(EXPERIMENTS.glob("*/paper.json"))
DIGITS = [str(i) for i in range(10)]
CLASSES = {
    "digits": DIGITS,
    "mnist": DIGITS,
    "fashion_mnist": (
        "T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag".split()
        + ["Ankle boot"]
    ),
    "cifar10": ("airplane automobile bird cat deer dog frog horse ship truck".split()),
    "coil100_17": ["random"],
    "dcase2017_task2": list(SCENES),
    "magnetic_tile": ["good"],
    "sound_scenes": ["all"],
    "stop_signs": ["clean"],
}
OF_ALL = {"digits", "mnist", "fashion_mnist", "cifar10"}
by_path = lambda path: f"{path.parent.name}/{path.stem}"


def commands(path):
    """The configuration of each training command in the README beside `path`."""
    text = (path.parent / "README.md").read_text()
    for command in re.findall("^python experiments/train.py (.*)", text, re.MULTILINE):
        texts, others = launching.config_flags(shlex.split(command))
        flags = dict(flag.split("=", 1) for flag in others)
        assert {*flags} <= {"--config", "--data_dir"}
        yield changed(from_file(EXPERIMENTS.parent / flags["--config"]), texts)


@each("path", FILES)
def test_every_file_is_the_configuration_that_its_name_says(path):
    config, hyper, _ = parse(from_file(path))
    assert (config.method, config.dataset) == (path.parent.name, path.stem)
    field = data.TARGET[config.protocol]
    assert getattr(config, field) in CLASSES[config.dataset]
    assert config.paper_code.leaks() == []
    _, build = methods.METHODS[config.method]
    assert build(hyper).stages


# They have no settings of a data set; `experiments/classical` has their results.
CLASSICAL = {"knn", "lof", "mahalanobis", "ocsvm", "kde", "iforest"}


def test_every_method_has_files_for_the_four_data_sets_and_published_numbers():
    for method in set(methods.METHODS) - CLASSICAL:
        found = {path.stem for path in FILES if path.parent.name == method}
        assert OF_ALL <= found <= set(data.SOURCES)
        assert EXPERIMENTS / method / "paper.json" in PAPERS


@each("path", PAPERS)
def test_variants_are_different_methods_that_can_be_built(path):
    paper, method = json.loads(path.read_text()), path.parent.name
    _, build = methods.METHODS[method]
    assert paper["variants"][0]["hyper"] == {}
    built = []
    for variant in paper["variants"]:
        values = runs.configure(method=method, hyper=variant["hyper"]).to_dict()
        _, hyper, _ = parse(values)
        assert build(hyper).stages
        assert hyper not in built
        built.append(hyper)
    used = {v["published"] for v in paper["variants"] if "published" in v}
    assert used == set(paper["published"])


@each("path", PAPERS)
def test_every_variant_has_a_command(path):
    shown = []
    for values in commands(path):
        config, *_ = parse(values)
        field = data.TARGET[config.protocol]
        assert getattr(config, field) in [*CLASSES[config.dataset], "all"]
        standard = from_file(path.parent / f"{config.dataset}.py")["hyper"]
        shown.append({k: v for k, v in values["hyper"].items() if v != standard[k]})
    for variant in json.loads(path.read_text())["variants"]:
        assert variant["hyper"] in shown


@each("path", PAPERS)
def test_published_numbers_are_consistent(path):
    for tables in json.loads(path.read_text())["published"].values():
        where = [(table["dataset"], table["protocol"]) for table in tables]
        assert len(set(where)) == len(where)  # Else one would hide the other.
        for table in tables:
            assert table["protocol"] in data.TARGET
            classes = table.get("classes", {})
            assert list(classes) in ([], CLASSES[table["dataset"]])
            numbers = [*classes.values(), table.get("mean", 0.5)]
            assert classes or "mean" in table
            assert all(0 < number <= 1 for number in numbers)
            if classes and "mean" in table:
                exact = statistics.mean(classes.values())
                agrees = round(exact, 4) == table["mean"]
                assert agrees != ("misprint" in table)
