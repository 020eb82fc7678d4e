"""Missing results are made, kept at once, resumed and taken in."""

import json
import os
import pathlib
import subprocess
import sys

import keep
import missing
import numpy as np
import packing
import pytest
from missing import Entry

from ocjax import data
from ocjax._checks import InputError
from ocjax.runs import config, environment

ROOT = pathlib.Path(missing.__file__).parents[1]
TINY = (
    "experiments/train.py --config=experiments/ganomaly/digits.py "
    "--config.protocol=p2 --config.normal_class=8 --config.seeds=2 "
    "--config.hyper.latent=3 --config.hyper.features=2 --config.epochs=2"
)
TRAINED = Entry("tiny", TINY, value=1, runs=2)
BENCHMARK = Entry("timed", "benchmarks/score.py --name=timed", value=5, minutes=2.5)


def listed(tmp_path, *entries):
    """File of a list."""
    missing.write(tmp_path / "missing.json", entries)
    return tmp_path / "missing.json"


def called(*arguments):
    """What the program says, with its status."""
    done = subprocess.run(
        [sys.executable, missing.__file__, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def committed(monkeypatch):
    """Code that is a commit."""
    monkeypatch.setattr(environment, "commit", lambda: "0123456789ab")


def test_a_list_is_read_by_value_and_written_as_it_was(tmp_path):
    file = listed(tmp_path, TRAINED, BENCHMARK)
    assert missing.read(file) == [BENCHMARK, TRAINED]
    assert missing.read(file, ["tiny"]) == [TRAINED]
    with pytest.raises(InputError, match="did you mean 'tiny'"):
        missing.read(file, ["tinny"])


def test_every_missing_result_has_a_configuration_or_a_program():
    for entry in missing.read(missing.FILE):
        if entry.trains:
            settings = config.parse(entry.values())
            assert not settings.execution.report and entry.runs >= 1
        else:
            assert (ROOT / entry.command.split()[0]).exists() and not entry.runs


def test_the_page_has_the_list():
    text = missing.table(missing.read(missing.FILE))
    assert text in (ROOT / "experiments" / "README.md").read_text()


def test_a_pack_gives_the_data_and_the_commit_back(tmp_path, committed):
    settings = config.parse(TRAINED.values()).config
    packing.write(tmp_path / "data.zip", [settings], None)
    digits, again = (
        data.load("digits"),
        packing.dataset(tmp_path / "data.zip", settings),
    )
    np.testing.assert_array_equal(again.images, digits.images)
    assert again.class_names == digits.class_names
    assert data.fingerprint(again) == data.fingerprint(digits)
    assert packing.commit(tmp_path / "data.zip") == "0123456789ab"


def test_a_pack_of_other_code_tells_no_commit(tmp_path, committed, monkeypatch):
    packing.write(tmp_path / "data.zip", [], None)
    monkeypatch.setattr(packing, "_digest", lambda: "other")
    assert packing.commit(tmp_path / "data.zip") == ""


def test_what_cannot_be_packed_or_read_is_told(tmp_path, committed, monkeypatch):
    settings = config.parse(TRAINED.values()).config
    file = tmp_path / "data.zip"
    with pytest.raises(InputError, match="cannot be read"):
        packing.dataset(file, settings)
    packing.write(file, [], None)
    with pytest.raises(InputError, match="has no digits-32-stretch: pack it again"):
        packing.dataset(file, settings)
    monkeypatch.setattr(packing, "MOST_BYTES", 1 << 10)
    with pytest.raises(InputError, match="name fewer results"):
        packing.write(file, [settings], None)
    monkeypatch.setattr(environment, "commit", lambda: "0123456789ab+")
    with pytest.raises(InputError, match="no commit"):
        packing.write(file, [settings], None)


def test_results_are_made_from_a_pack_cut_off_and_taken_in(tmp_path, committed):
    file, out = listed(tmp_path, TRAINED, BENCHMARK), tmp_path / "out"
    packing.write(tmp_path / "data.zip", [config.parse(TRAINED.values()).config], None)
    missing.make([TRAINED], out, [], "", minutes=0, together=1)  # Nothing is begun.
    assert not out.exists()
    data_file = f"--data={tmp_path / 'data.zip'}"
    flags = f"--list={file}", data_file, f"--out={out}", "--minutes=5"
    status, said, error = called("run", "tiny", *flags)
    assert status == 0, error
    lines = (out / "lines" / "tiny.jsonl").read_text().splitlines()
    assert len(lines) == 2 and said.count("AUROC") == 2 and "finished after" in said
    missing.make([TRAINED], out, [], "", minutes=5, together=1)  # It is whole.
    home = tmp_path / "home"
    (home / "experiments" / "ganomaly").mkdir(parents=True)
    for _ in range(2):  # A line is taken once.
        missing.take(out / "lines", file, home)
    kept = (home / "experiments" / "ganomaly" / "results.jsonl").read_text()
    assert kept.splitlines() == lines
    result = keep.Result.from_json(json.loads(lines[0]))
    assert (
        result.identity.dataset == "digits"
        and result.environment["commit"] == "0123456789ab"
    )
    assert missing.read(file) == [BENCHMARK]


PROGRAM = """
import pathlib, signal, sys, time
place = pathlib.Path(sys.argv[1])
def stopped(*_):
    (place / "stopped").touch()
    sys.exit(75)
signal.signal(signal.SIGTERM, stopped)
(place / "begun").open("a").write("x")
if (place / "stopped").exists():
    (place / "timed.json").write_text("{}")
else:
    time.sleep(60)
"""


def test_what_is_cut_off_is_begun_again_and_its_file_kept(
    tmp_path, monkeypatch, capsys
):
    program, out = tmp_path / "program.py", tmp_path / "out"
    program.write_text(PROGRAM)
    monkeypatch.setattr(missing, "BENCHMARKS", tmp_path)
    entry = Entry("timed", f"{program} {tmp_path} --name=timed", value=1)
    for minutes, said in ((0.1, "status 75"), (1, "timed: timed.json")):
        missing.make([entry], out, [], "", minutes=minutes, together=2)
        assert said in capsys.readouterr().out
    assert (tmp_path / "begun").read_text() == "xx"
    assert missing.is_whole(entry, out / "lines")


def test_trainings_of_code_that_is_no_commit_are_refused_before(monkeypatch):
    monkeypatch.setattr(environment, "commit", lambda: None)
    with pytest.raises(InputError, match="is no commit"):
        packing.own_commit()


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["runn"], "did you mean 'run'"),
        (["pack"], "write --data=FILE"),
        (["list", f"--list={__file__}"], "is no list of missing results"),
        (["take", "nowhere"], "There is no folder nowhere"),
        (["run", "lrgdan_mnst"], "did you mean 'lrgdan_mnist'"),
    ],
)
def test_wrong_calls_cost_one_line(arguments, message):
    status, _, error = called(*arguments)
    assert status == 2 and message in error and "Traceback" not in error
