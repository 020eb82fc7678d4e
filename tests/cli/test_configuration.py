"""What `ocjax train` trains: files, flags and --set, each with its own mistakes."""

import dataclasses
import inspect
import pathlib
import sys
from typing import Any

import pytest
from calls import call, refused

from ocjax import Detector, cli, methods, runs
from ocjax._checks import InputError
from ocjax.backbones import weights
from ocjax.cli import cluster, exits, launching, train
from ocjax.inference import detector_file
from ocjax.runs.bounds import BOUNDS, KINDS, Range
from ocjax.runs.changes import changed, replaced
from ocjax.runs.config import Execution, RunConfig, from_file
from ocjax.training import processes

ROOT = pathlib.Path(__file__).parents[2]
MNIST = ROOT / "experiments" / "lrgdan" / "mnist.py"
FIELDS = (*dataclasses.fields(RunConfig), *dataclasses.fields(Execution))


def values_of(*arguments):
    """The configuration that `ocjax train ARGUMENTS` runs, and the folder of data."""
    return train.configuration(cli._parse(["ocjax", "train", *map(str, arguments)]))


def written(folder, source):
    path = folder / "own.py"
    path.write_text(source)
    return path


def test_defaults_are_the_same_in_command_dataclass_and_estimator():
    values, _ = values_of("digits")
    expected = {f.name: f.default for f in FIELDS if f.name in values}
    expected["paper_code"] = dataclasses.asdict(RunConfig.paper_code)
    own, _ = methods.METHODS[RunConfig.method]
    assert values == expected | {"hyper": dataclasses.asdict(own())}
    parameters = inspect.signature(Detector).parameters
    shared = {name for name in parameters if name in expected}
    assert {name: parameters[name].default for name in shared} == {
        name: expected[name] for name in shared
    }
    assert shared | {"hyper"} == {*detector_file.CONFIGURED}


def test_every_number_of_a_run_has_a_bound_that_its_default_keeps():
    for field in FIELDS:
        if type(field.default) in (int, float):
            bound = BOUNDS[field.name]
            assert isinstance(bound, Range) and bound.allows(field.default), field.name
    known = {field.name for field in FIELDS}
    assert {name.partition(".")[0] for name in BOUNDS} <= known
    assert {type(field.default) for field in FIELDS} <= {
        *KINDS,
        type(RunConfig.paper_code),
    }


def test_a_file_says_all_and_flags_change_it():
    assert values_of(f"--config={MNIST}") == (from_file(MNIST), None)
    values, data_dir = values_of(
        f"--config={MNIST}", "--epochs=3", "--normal_class=4", "--data_dir=place",
        "--set", "hyper.latent=7", "--set", "seeds=2", "--skip_unreadable",
    )  # fmt: skip
    changes = {"normal_class": "4", "seeds": 2, "skip_unreadable": True}
    length = {"epochs": 3, "steps": 0}  # In place of the file's steps.
    expected: dict[str, Any] = from_file(MNIST) | changes | length
    expected["hyper"] = expected["hyper"] | {"latent": 7}
    assert (values, data_dir) == (expected, "place")


def test_data_change_a_file(tmp_path):
    values, data_dir = values_of(tmp_path, f"--config={MNIST}")
    said = {"dataset": "folder", "protocol": "folder", "normal_class": "good"}
    assert values == from_file(MNIST) | said and data_dir == str(tmp_path)
    values, _ = values_of("digits", f"--config={MNIST}")
    assert values == from_file(MNIST) | {"dataset": "digits"}


def test_a_mapping_of_some_fields_is_a_configuration(tmp_path):
    source = "def get_config():\n    return {'epochs': 2, 'hyper': {'latent': 3}}\n"
    values = from_file(written(tmp_path, source))
    assert values == runs.configure(epochs=2, hyper={"latent": 3}).to_dict()
    assert [path.name for path in tmp_path.iterdir()] == ["own.py"]


@pytest.mark.parametrize(
    "changes",
    [["--method=ics"], ["--set", "hyper.splitting_epochs=9", "--set=method=ics"]],
)
def test_another_method_begins_with_its_own_hyper_parameters(changes):
    values, _ = values_of(f"--config={MNIST}", *changes)
    expected = runs.configure(method="ics").to_dict()["hyper"]
    if len(changes) > 1:
        expected["splitting_epochs"] = 9
    assert values["method"] == "ics" and values["hyper"] == expected


def test_the_same_method_keeps_the_hyper_parameters_of_the_file():
    cifar = MNIST.with_name("cifar10.py")
    values, _ = values_of(f"--config={cifar}", "--method=lrgdan")
    assert values == from_file(cifar) and values["hyper"]["latent"] == 128


@pytest.mark.parametrize("installed, method", [(True, "padim"), (False, "autoencoder")])
def test_a_folder_gets_frozen_features_where_their_weights_are(
    installed, method, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(weights, "is_installed", lambda network: installed)
    values, _ = values_of(tmp_path)
    assert values["method"] == method
    assert ("pip install" in capsys.readouterr().err) != installed
    for asked in ("--method=pca", "--set=method=pca"):
        assert values_of(tmp_path, asked)[0]["method"] == "pca"
    assert values_of("digits")[0]["method"] == RunConfig.method
    assert capsys.readouterr().err == ""


def test_flags_of_the_launcher_are_texts_of_changes():
    line = [
        "train.py",
        "--config=x.py",
        "--config.epochs=3",
        "-config.vary=a=1",
        "--seed=1",
    ]
    texts, others = launching.config_flags(line)
    assert texts == ["epochs=3", "vary=a=1"]
    assert others == ["train.py", "--config=x.py", "--seed=1"]
    values = runs.configure().to_dict()
    new = changed(values, [*texts, "epochs=4"], "--config.")
    assert new == replaced(values | {"epochs": 4}, "vary", "a=1")
    for text, message in {
        "epoch=3": "Unknown field of --config 'epoch'; did you mean 'epochs'",
        "epochs=3.5": "--config.epochs=3.5: expected epochs=VALUE, with a whole",
        "report": "--config.report: expected report=VALUE, with True or False.",
    }.items():
        with pytest.raises(InputError) as caught:
            changed(values, [text], "--config.")
        assert str(caught.value).startswith(message)


RETURNS = "def get_config():\n  return "
FILES = {
    "no function": ("x = 1", "own.py: it defines no function get_config()."),
    "a number for it": ("get_config = 3", "it defines no function get_config()."),
    "bad syntax": (
        f"{RETURNS}{{",
        "SyntaxError: '{' was never closed (own.py, line 2)",
    ),
    "a null byte": ("\0", "SyntaxError: source code string cannot contain null bytes"),
    "an exception": (f"{RETURNS}1 / 0", "own.py, line 2: ZeroDivisionError: division"),
    "an import": ("import nothing", "own.py, line 1: ModuleNotFoundError: No module"),
    "an exit": ("raise SystemExit", "own.py, line 1: SystemExit."),
    "an argument": ("def get_config(x): pass", "missing 1 required positional arg"),
    "no mapping": (f"{RETURNS}3", "what ocjax.runs.configure makes, got int."),
    "a name of no text": (f"{RETURNS}{{3: 3}}", "TypeError: keywords must be strings."),
    "a field": (f"{RETURNS}{{'epoch': 1}}", "own.py: Unknown field of config 'epoch'"),
    "a method": (f"{RETURNS}{{'method': 'gan'}}", "own.py: Unknown method 'gan'"),
    "no fields": (f"{RETURNS}{{'hyper': 3}}", "`config.hyper` (=3) must be a mapping"),
    "a hyper-parameter": (f"{RETURNS}{{'hyper': {{'latnt': 3}}}}", "you mean 'latent'"),
    "a kind": (f"{RETURNS}{{'epochs': 'a'}}", "`config.epochs` (='a') must be a whole"),
    "a bound": (
        f"{RETURNS}{{'epochs': -1}}",
        "`config.epochs` (=-1) must be at least 0",
    ),
}


@pytest.mark.parametrize("mistake", FILES)
def test_a_mistake_in_a_file_costs_one_line(mistake, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    source, message = FILES[mistake]
    written(tmp_path, source)
    line = refused(capsys, "train", "--config=own.py")
    assert line.startswith("Error: ") and message in line
    assert [path.name for path in tmp_path.iterdir()] == ["own.py"]


MISTAKES = {
    "no data": ([], "Expected DATA, a folder or a data set, or a file"),
    "no file": (
        ["--config=onw.py"],
        "no configuration file onw.py; did you mean 'own.p",
    ),
    "a folder": (["--config=."], "as a Python file, got the folder ."),
    "a remote file": (["--config=gs://a/b.py"], "Expected --config on a local disk"),
    "a flag of the launcher": (["digits", "--config.epochs=3"], "--set epochs=VALUE"),
    "no method": (["digits", "--set=method=gan"], "Unknown method 'gan'"),
    "a seed of 33 bits": (["digits", "--seed=4294967296"], "at most 4294967295"),
    "too many epochs": (
        ["digits", "--epochs=2147483648"],
        "--epochs: expected a whole ",
    ),
    "too many seeds": (["digits", "--set=seeds=10001"], "must be at most 10000"),
    "steps below none": (["digits", "--profile_steps=-1"], "of at least 0, got -1"),
    "no word": (["digits", "--set=tile_reduction=min"], "expected one of max, mean"),
    "a process alone": (["digits", "--process_id=0"], "need a --coordinator"),
    "half a job": (
        ["digits", "--coordinator=a:1", "--num_processes=2"],
        "--coordinator needs --num_processes and --process_id",
    ),
    "a process beyond the last": (
        ["digits", "--coordinator=a:1", "--num_processes=2", "--process_id=2"],
        "`process_id` (=2) must be below `num_processes` (=2)",
    ),
    "no address": (["digits", "--coordinator=a"], "=host:port, or auto, got 'a'"),
    "no port": (["digits", "--coordinator=a:99999"], "=host:port, or auto, got 'a:99"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_flags_costs_one_line(mistake, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "")
    arguments, message = MISTAKES[mistake]
    assert message in refused(capsys, "train", *arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["own.py"]


def test_an_environment_that_tells_of_no_job_costs_one_line(monkeypatch, capsys):
    def unknown(*_):
        raise ValueError("coordinator_address should be defined.")

    def ended(code):
        raise SystemExit(code)

    monkeypatch.setattr(processes, "start", unknown)
    monkeypatch.setattr(cluster, "_watch", lambda: None)
    monkeypatch.setattr(cluster, "_exit", ended)
    with pytest.raises(SystemExit) as caught:
        call("train", "digits", "--coordinator=auto")
    assert caught.value.code == exits.USER_ERROR
    error = capsys.readouterr().err
    assert error.startswith(
        "Error: --coordinator=auto: the environment tells of no job"
    )
    assert error.count("\n") == 1


def test_a_job_is_started_again_as_it_was_started(monkeypatch):
    started = []

    class Child:
        def __init__(self, command, env):
            started.append(command)
            assert cluster.WATCHED in env

        def wait(self):
            return 0

    command = ["python", "-X", "dev", "-m", "ocjax", "train", "digits"]
    monkeypatch.setattr(sys, "orig_argv", command)
    monkeypatch.setattr(cluster.subprocess, "Popen", Child)
    monkeypatch.setattr(cluster.signal, "signal", lambda *_: None)
    monkeypatch.delenv(cluster.WATCHED, raising=False)
    with pytest.raises(SystemExit):
        cluster.run(cluster.Job("localhost:1", 1, 0), lambda: None)
    assert started == [[sys.executable, *command[1:]]]
