"""The `ocjax` command, run as its entry point runs it."""

import csv
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
from calls import call, refused
from collected import each
from made_pictures import picture
from PIL import Image

from ocjax import Detector, _files, cli, inference
from ocjax.cli import evaluate, train
from ocjax.data import files
from ocjax.evaluation import metrics
from ocjax.inference import Scorer

TINY = ["--method=autoencoder", "--epochs=1"]
for field in ("hyper.latent=3", "hyper.features=2", "batch_size=8"):
    TINY += ["--set", field]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder with 40 good pictures and 4 spoilt ones."""
    root = tmp_path_factory.mktemp("pictures")
    for i in range(40):
        picture(root / "normal" / f"{i:02}.png")
    for i in range(4):
        picture(root / "anomalous" / f"{i}.png", spoilt=True)
    return root


@pytest.fixture(scope="module")
def run(pictures, tmp_path_factory):
    """A finished run on them."""
    path = tmp_path_factory.mktemp("runs") / "run"
    rate = "--false_positive_rate=0.2"
    assert call("train", pictures, *TINY, rate, f"--workdir={path}") == 0
    return path


@pytest.fixture(scope="module")
def exported(run):
    path = run.parent / "model.ocjax"
    assert call("export", run, f"--out={path}") == 0
    return path


def rows(path):
    with open(path) as file:
        return list(csv.DictReader(file))


def test_training_says_what_to_do_next(run, pictures, capsys):
    rate = "--false_positive_rate=0.2"
    assert call("train", pictures, *TINY, rate, f"--workdir={run}") == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["auroc"] is not None
    assert "is finished; this is its result" in said.err
    assert f"ocjax score PICTURES --model={run}" in said.err
    assert (run / "report.html").is_file()


def test_good_pictures_alone_train_a_detector(pictures, tmp_path, capsys):
    path = tmp_path / "run"
    assert call("train", pictures / "normal", *TINY, f"--workdir={path}") == 0
    said = capsys.readouterr()
    result = json.loads(said.out)
    assert result["auroc"] is None and result["anomalies"] == 0
    assert result["promised_false_positive_rate"] == 1 / 6  # Of five held-out ones.
    assert "cannot promise a false-positive rate of 0.01" in said.err
    assert "No anomalous picture was given" in (path / "report.html").read_text()


def test_scores_of_a_run_and_of_its_export_are_the_same(
    run, exported, pictures, tmp_path, capsys
):
    tables = []
    for model in (run, exported):
        out = tmp_path / "deep" / "scores.csv"
        command = "score", pictures, f"--model={model}", f"--out={out}", "--force"
        assert call(*command) == 0
        tables.append(rows(out))
        assert [*out.parent.iterdir()] == [out]
        assert "44 pictures scored, " in capsys.readouterr().err
    first, second = tables
    assert [row["path"] for row in first] == sorted(
        str(path) for path in pictures.rglob("*.png")
    )
    found, other = ([float(row["score"]) for row in table] for table in tables)
    np.testing.assert_allclose(found, other, rtol=1e-5)
    for name in ("decision", "percentile", "p_value"):
        assert [row[name] for row in first] == [row[name] for row in second]
    decisions = {row["decision"] for row in first if "anomalous" in row["path"]}
    assert decisions == {"anomalous"}


def test_files_folders_and_patterns_are_scored_to_standard_output(
    exported, pictures, capsys
):
    one, pattern = pictures / "normal" / "00.png", pictures / "normal" / "0[12].png"
    assert call("score", one, pattern, f"--model={exported}") == 0
    table = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [os.path.basename(row["path"]) for row in table] == [
        "00.png",
        "01.png",
        "02.png",
    ]


def test_unreadable_files_cost_a_row_and_the_status(
    exported, pictures, tmp_path, capsys
):
    folder = shutil.copytree(pictures / "anomalous", tmp_path / "some")
    (folder / "1.png").write_text("text")
    (folder / "2.png").write_bytes(b"")
    out = tmp_path / "scores.csv"
    assert call("score", folder, f"--model={exported}", f"--out={out}") == 1
    assert "2 pictures scored, 2 anomalous; 2 could not" in capsys.readouterr().err
    table = rows(out)
    assert [row["decision"] for row in table] == [
        "anomalous",
        "unreadable",
        "unreadable",
        "anomalous",
    ]
    assert "1.png is no readable image" in table[1]["error"] and not table[1]["score"]


def test_another_rate_changes_decisions_alone(exported, pictures, tmp_path):
    tables = []
    for rate in (0.2, 0.8):
        out, rate = tmp_path / f"{rate}.csv", f"--false_positive_rate={rate}"
        assert call("score", pictures, f"--model={exported}", f"--out={out}", rate) == 0
        tables.append(rows(out))
    assert [r["score"] for r in tables[0]] == [r["score"] for r in tables[1]]
    alarms = [sum(row["decision"] == "anomalous" for row in t) for t in tables]
    assert alarms[0] < alarms[1]


def test_heatmaps_lie_beside_the_pictures(exported, pictures, tmp_path):
    out, maps = f"--out={tmp_path / 'scores.csv'}", tmp_path / "maps"
    assert (
        call("score", pictures, f"--model={exported}", out, f"--heatmaps={maps}") == 0
    )
    with Image.open(maps / "anomalous" / "0.png") as image:
        with Image.open(pictures / "anomalous" / "0.png") as source:
            assert image.size == source.size
    assert len(list(maps.rglob("*.png"))) == 44


def test_a_labelled_folder_is_judged(run, exported, pictures, capsys):
    for model in (run, exported):
        assert call("evaluate", pictures, f"--model={model}") == 0
        result = json.loads(capsys.readouterr().out)
        assert result["anomalies"] == 4 and result["auroc"] == 1.0
        assert result["anomalies_found"] == result["anomalies"]
        assert result["promised_false_positive_rate"] == 0.2
        low, high = result["reached_interval"]
        assert low <= result["reached_false_positive_rate"] <= high
        assert "pixel_auroc" not in result


def test_a_judgement_ends_with_a_plain_line(exported, pictures, capsys):
    assert call("evaluate", pictures, f"--model={exported}") == 0
    output, error = capsys.readouterr()
    result = json.loads(output)
    called = round(40 * result["reached_false_positive_rate"])
    low, high = result["auroc_low"], result["auroc_high"]
    assert error == (
        f"AUROC 1.000 ({low:.3f} to {high:.3f}); 4 of 4 anomalies found; {called} of "
        "40 good pictures called anomalous (promised 20 %)\n"
    )


def test_heatmaps_are_judged_where_masks_are(
    exported, pictures, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(evaluate, "HEATMAPS", 3)  # Several pieces.
    shutil.copytree(pictures / "normal", tmp_path / "test" / "good")
    shutil.copytree(pictures / "anomalous", tmp_path / "test" / "bent")
    (tmp_path / "test" / "good" / "cut.png").write_text("no picture")
    marks = np.zeros((4, 32, 32), bool)
    for i, mark in enumerate(marks):
        mark[4 * i : 4 * i + 8, :8] = True
        path = tmp_path / "ground_truth" / "bent" / f"{i}_mask.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mark).save(path)
    assert call("evaluate", tmp_path, f"--model={exported}") == 1  # One is cut.
    result = json.loads(capsys.readouterr().out)
    good, bad = (sorted((pictures / k).iterdir()) for k in ("normal", "anomalous"))
    images = np.stack([files.read(path, (32, 32, 1)) for path in [*bad, *good]])
    maps = inference.open(exported).judge(images, explain=True).heatmaps
    masks = np.concatenate([marks, np.zeros((40, 32, 32), bool)])
    expected = {
        name: getattr(metrics, name)(masks, maps)
        for name in ("pixel_auroc", "per_region_overlap")
    }
    found = {name: result[name] for name in expected}
    assert found == pytest.approx(expected)


@each("part", ["normal", "anomalous", "test", "test/bent"])
def test_of_a_part_the_whole_folder_is_asked_for(
    part, exported, pictures, tmp_path, capsys
):
    root = pictures
    if part.startswith("test"):
        root = tmp_path
        shutil.copytree(pictures / "normal", tmp_path / "test" / "good")
        shutil.copytree(pictures / "anomalous", tmp_path / "test" / "bent")
    capsys.readouterr()
    line = refused(capsys, "evaluate", root / part, f"--model={exported}")
    assert line.endswith(f"pass {root}.\n")


def test_a_report_is_written_again(run, capsys):
    before = (run / "report.html").read_bytes()
    (run / "report.html").unlink()
    assert call("report", run) == 0
    assert capsys.readouterr().out.strip() == str(run / "report.html")
    assert (run / "report.html").read_bytes() == before


def test_methods_and_data_sets_are_listed(capsys):
    assert call("methods") == call("datasets") == call("methods", "lrgdan") == 0
    said = capsys.readouterr().out
    for name in ("ganomaly ", "magnetic_tile ", "hyper.latent="):
        assert name in said
    untried = [line.split()[0] for line in said.splitlines() if "never run on" in line]
    assert "casia_mfsd" in untried and "digits" not in untried


@each("name", ["", *cli.COMMANDS])
def test_help_fits_a_screen_and_has_an_example(name, capsys):
    with pytest.raises(SystemExit) as ended:
        call(*([name] if name else []), "--help")
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert said.count("\n") <= 45
    assert f"  ocjax {name}" in said or f"ocjax {name}" in said.splitlines()[-1]


def test_shells_complete_it(capsys):
    with pytest.raises(SystemExit) as ended:
        call("--print_completion", "bash")
    assert ended.value.code == 0 and "evaluate" in capsys.readouterr().out


BAD = {
    "no command": ([], "required: COMMAND"),
    "unknown command": (["trian"], "did you mean 'train'?"),
    "unknown flag": (["train", "digits", "--epoch=3"], "did you mean '--epochs'"),
    "unknown data": (["train", "digitss"], "did you mean 'digits'"),
    "no folder": (["train", "./nothing"], "There is no folder"),
    "a folder spelt wrong": (["train", "PICTURES/norml"], "/normal'?"),
    "pictures spelt wrong": (["score", "PICTURES/norml", "--model=x"], "/normal'?"),
    "a model spelt wrong": (["score", "PICTURES", "--model=EXPORTD"], "/model.ocjax'?"),
    "a run spelt wrong": (["report", "PICTURES/norml"], "/normal'?"),
    "a file to train on": (["train", "ONE"], "is a file: name the folder"),
    "no flag, but a field": (["train", "digits", "--tile=32"], "--set tile=VALUE"),
    "a flag spelt wrong": (["train", "digits", "--batchsize=3"], "'--batch_size'"),
    "a needed flag spelt wrong": (["score", "PICTURES", "--modle=x"], "'--model'"),
    "an option of no command": (["--verison"], "'--version'"),
    "letters for a number": (["train", "digits", "--epochs=abc"], "--epochs: expected"),
    "no epochs": (["train", "digits", "--epochs=-1"], "whole number of at least 0"),
    "a rate above 1": (
        ["train", "digits", "--false_positive_rate=2"],
        "--false_positive_rate: expected a number between 0 and 1, got 2",
    ),
    "a rate that is none": (
        ["score", "PICTURES", "--model=EXPORTED", "--false_positive_rate=nan"],
        "between 0 and 1, got nan",
    ),
    "nan": (["train", "digits", "--set", "hyper.learning_rate=nan"], "with a number"),
    "a field of a method": (["train", "digits", "--set", "latent=3"], "'hyper.latent'"),
    "a remote model": (["score", "PICTURES", "--model=gs://a/b"], "on a local disk"),
    "a remote table": (
        ["score", "PICTURES", "--model=EXPORTED", "--out=s3://a/b"],
        "--out on a local disk",
    ),
    "remote heatmaps": (
        ["score", "PICTURES", "--model=EXPORTED", "--heatmaps=gs://a"],
        "--heatmaps on a local disk",
    ),
    "remote pictures": (["score", "gs://a/b", "--model=EXPORTED"], "IMAGES on a local"),
    "remote data": (["train", "s3://a/b"], "DATA on a local disk"),
    "remote data sets": (["train", "mnist", "--data_dir=gs://a/b"], "--data_dir on a"),
    "a remote export": (["export", "gs://a/b"], "MODEL on a local disk"),
    "an export to a remote": (["export", "x", "--out=gs://a/b"], "--out on a local"),
    "the suffix of another format": (
        ["export", "x", "--format=onnx", "--out=EMPTY/x.ocjax"],
        "files of the format onnx end in .onnx",
    ),
    "the format of another suffix": (["export", "x", "--out=EMPTY/x.onnx"], "=onnx "),
    "a file for a folder": (
        ["score", "PICTURES", "--model=nothing", "--heatmaps=ONE"],
        "is a file: name a folder",
    ),
    "heatmaps over their pictures": (
        ["score", "PICTURES", "--model=nothing", "--heatmaps=PICTURES", "--force"],
        "is a picture to score",
    ),
    "a table over a picture": (
        ["score", "PICTURES", "--model=nothing", "--out=ONE", "--force"],
        "is what is read",
    ),
    "a folder below a file": (
        ["score", "PICTURES", "--model=nothing", "--out=ONE/s.csv"],
        "00.png/s.csv cannot be written",
    ),
    "a table for a folder": (
        ["score", "PICTURES", "--model=x", "--out=EMPTY/x", "--heatmaps=EMPTY/x"],
        "--out and --heatmaps both write",
    ),
    "a device": (["score", "PICTURES", "--model=x", "--out=/dev/null"], "expected a f"),
    "unknown method": (["train", "digits", "--method=gan"], "Unknown method 'gan'"),
    "unknown field": (["train", "digits", "--set", "hyper.latnt=3"], "'hyper.latent'?"),
    "no value": (["train", "digits", "--set", "epochs"], "expected epochs=VALUE"),
    "no number": (["train", "digits", "--set", "epochs=a"], "with a whole number"),
    "no folder called folder": (["train", "folder"], "data set or folder 'folder'"),
    "no field": (
        ["train", "digits", "--set", "hyper=3"],
        "field of --set 'hyper'",
    ),
    "no latent": (["train", "digits", "--set", "hyper.latent=0"], "at least 1"),
    "no pixels": (["train", "digits", "--image_size=-1"], "at least 0"),
    "a size, before too few": (
        ["train", "PICTURES", "--method=lrgdan", "--image_size=100"],
        "side 32, 64",
    ),
    "a tile, before too few": (
        ["train", "PICTURES", "--method=lrgdan", "--set", "tile=50"],
        "Tiles (=50) cannot be larger than pictures (=32)",
    ),
    "a size, before memory": (
        ["train", "PICTURES", "--method=lrgdan", "--image_size=99999"],
        "side 32",
    ),
    "a negative time": (
        ["train", "digits", "--set", "checkpoint_seconds=-1"],
        "`config.checkpoint_seconds` (=-1.0) must be at least 0",
    ),
    "a count beyond 32 bits": (
        ["train", "digits", "--set", "hyper.latent=99999999999"],
        "`config.hyper.latent` (=99999999999) must be at most 2147483647",
    ),
    "no seed": (["train", "digits", "--seed=-1"], "--seed: expected a whole number of"),
    "no table": (["score", "PICTURES", "--model=EXPORTED", "--out="], "--out=: "),
    "a folder": (["score", "PICTURES", "--model=EXPORTED", "--out=EMPTY"], "--out="),
    "unknown class": (["train", "digits", "--normal_class=11"], "Unknown class '11'"),
    "no pictures": (["score", "EMPTY", "--model=x"], "has no pictures"),
    "nothing matches": (["score", "EMPTY/*.png", "--model=x"], "no file, folder"),
    "no model": (["score", "PICTURES", "--model=nothing"], "no run folder or model"),
    "no run folder": (["score", "PICTURES", "--model=EMPTY"], "no run.json"),
    "no model file": (["score", "PICTURES", "--model=ONE"], "no model file"),
    "a low rate": (
        ["score", "PICTURES", "--model=EXPORTED", "--false_positive_rate=0.001"],
        "needs at least 999",
    ),
    "an export": (["export", "EXPORTED"], "no saved detector"),
    "nothing to export": (["export", "nothing"], "no run folder or saved detector"),
    "no report": (["report", "EMPTY"], "no run.json"),
    "unlabelled": (["evaluate", "GOOD", "--model=EXPORTED"], "needs both"),
    "unknown to prepare": (["prepare", "mnits"], "did you mean 'mnist'"),
    "unknown to list": (["methods", "gan"], "Unknown method 'gan'"),
}


@each("what", BAD)
def test_a_mistake_costs_one_line(what, exported, pictures, tmp_path, capsys):
    arguments, message = BAD[what]
    (tmp_path / "empty").mkdir()
    places = {
        "EMPTY": tmp_path / "empty",
        "PICTURES": pictures,
        "GOOD": pictures / "normal",
        "ONE": pictures / "normal" / "00.png",
        "EXPORTED": exported,
        "EXPORTD": exported.with_name("modle.ocjax"),
    }
    for name, path in places.items():
        arguments = [argument.replace(name, str(path)) for argument in arguments]
    capsys.readouterr()
    assert message in refused(capsys, *arguments)
    assert list((tmp_path / "empty").iterdir()) == []


def test_help_does_not_wait_for_jax():
    program = "import sys, ocjax.cli as c; c.parser(); print('jax' in sys.modules)"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_scoring_imports_no_more_than_its_model_needs(run, exported, pictures):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    graph = run.parent / "light.onnx"
    assert call("export", run, "--format=onnx", f"--out={graph}") == 0
    program = (
        "import sys, ocjax.cli as c\n"
        "code = c._run(c._parse(['ocjax', *sys.argv[1:]]))\n"
        "print(code, *{'jax', 'flax', 'sklearn', 'matplotlib'} & {*sys.modules})"
    )
    one, out = pictures / "normal" / "00.png", run.parent / "one.csv"
    for model, needed in ((graph, set()), (exported, {"jax"}), (run, {"jax", "flax"})):
        command = ["score", one, f"--model={model}", f"--out={out}", "--force"]
        done = subprocess.run(
            [sys.executable, "-c", program, *map(str, command)],
            capture_output=True,
            text=True,
            check=True,
        )
        code, *imported = done.stdout.split()
        assert (code, {*imported}) == ("0", needed), model


def test_an_export_never_replaces_what_it_was_not_told_to(
    run, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    dotted = [tmp_path / f"run-rate=0.{i}" for i in range(2)]
    for path in dotted:
        shutil.copytree(run, path)
        assert call("export", path) == 0
        assert (tmp_path / f"{path.name}.ocjax").is_file()
    capsys.readouterr()
    out = tmp_path / f"{dotted[0].name}.ocjax"
    before = out.stat()
    for named in ([], [f"--out={out}"]):
        said = refused(capsys, "export", dotted[0], *named)
        assert "exists: name another file" in said and "--force" in said
    assert out.stat().st_mtime_ns == before.st_mtime_ns
    assert call("export", dotted[0], f"--out={out}", "--force") == 0
    assert out.stat().st_mtime_ns > before.st_mtime_ns


def test_a_detector_in_a_file_is_not_replaced_by_its_export(tmp_path, capsys):
    images = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 1), np.uint8)
    tiny = {"hyper": {"latent": 3, "features": 2}, "epochs": 1, "batch_size": 8}
    path = (
        Detector("autoencoder", **tiny, contamination=0.2)
        .fit(images)
        .save(tmp_path / "detector.ocjax")
    )
    capsys.readouterr()
    for force in ([], ["--force"]):
        refused(capsys, "export", path, f"--out={path}", *force)
    Detector.load(path)


def test_the_class_of_the_protocol_ganomaly_is_the_anomalous_one():
    for arguments in (["--protocol=ganomaly"], ["--set", "protocol=ganomaly"]):
        command = ["ocjax", "train", "digits", "--normal_class=3", *arguments]
        values, _ = train.configuration(cli._parse(command))
        assert (values["anomalous_class"], values["normal_class"]) == ("3", "8")


def test_after_a_table_its_file_is_named(tmp_path, capsys):
    path = tmp_path / "table"
    two = ["--set", "seeds=2", "--set", "report=False"]
    assert call("train", "digits", *TINY, *two, f"--workdir={path}") == 0
    assert f"{path}/table.md" in capsys.readouterr().err
    one = [*two[2:], "--profile_steps=1", f"--workdir={tmp_path / 'one'}"]
    assert call("train", "digits", *TINY, *one) == 0
    assert "report.html" not in capsys.readouterr().err
    assert list((tmp_path / "one" / "profile").rglob("*.xplane.pb"))


def test_a_judgement_needs_no_pictures_that_train(exported, pictures, tmp_path, capsys):
    shutil.copytree(pictures / "normal", tmp_path / "test" / "good")
    shutil.copytree(pictures / "anomalous", tmp_path / "test" / "bent")
    (tmp_path / "ground_truth" / "bent").mkdir(parents=True)  # Without its masks.
    assert call("evaluate", tmp_path, f"--model={exported}") == 0
    assert list(json.loads(capsys.readouterr().out)["kinds"]) == ["bent"]


def test_a_folder_that_cannot_be_written_is_named_before_any_work(
    exported, pictures, monkeypatch, capsys
):
    def full(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(_files.tempfile, "TemporaryFile", full)
    for flag in ("--out=below/s.csv", "--heatmaps=below"):
        said = refused(capsys, "score", pictures, "--model=nothing", flag)
        assert said == f"Error: {flag} cannot be written: Permission denied.\n"
    said = refused(capsys, "export", "nothing", "--out=below/x.ocjax")
    assert "--out=below/x.ocjax cannot be written" in said
    assert not pathlib.Path("below").exists()


def test_scores_and_heatmaps_replace_nothing_without_force(
    exported, pictures, tmp_path, capsys
):
    one, model = pictures / "normal" / "00.png", f"--model={exported}"
    out, maps = tmp_path / "s.csv", tmp_path / "maps"
    out.write_text("years of work")
    (maps / "deep").mkdir(parents=True)
    (maps / "00.png").write_text("a picture")
    (maps / "deep" / "other.txt").write_text("of another program")
    for flag, file in ((f"--out={out}", out), (f"--heatmaps={maps}", maps / "00.png")):
        before = file.read_text()
        capsys.readouterr()
        assert f"{file} exists: " in refused(capsys, "score", one, model, flag)
        assert file.read_text() == before
        assert call("score", one, model, flag, "--force") == 0
        assert file.read_bytes() != before.encode()
    assert (maps / "deep" / "other.txt").read_text() == "of another program"


def test_a_score_that_is_cut_short_leaves_no_table(
    exported, pictures, tmp_path, monkeypatch
):
    def killed(self, paths):
        yield from zip(paths[:3], [ValueError("a row")] * 3, strict=True)
        raise OSError("the disk is full")

    monkeypatch.setattr(Scorer, "judge_files", killed)
    with pytest.raises(SystemExit):
        call("score", pictures, f"--model={exported}", f"--out={tmp_path / 's.csv'}")
    assert [*tmp_path.iterdir()] == []


def test_names_of_any_bytes_are_rows(exported, pictures, tmp_path):
    shutil.copy(pictures / "normal" / "00.png", tmp_path / "x.png")
    os.rename(bytes(tmp_path / "x.png"), name := bytes(tmp_path) + b"/caf\xe9.png")
    command = [sys.executable, "-m", "ocjax", "score", tmp_path, f"--model={exported}"]
    done = subprocess.run(command, capture_output=True, check=True)
    out = tmp_path / "s.csv"
    subprocess.run([*command, f"--out={out}"], check=True, capture_output=True)
    assert done.stdout == out.read_bytes()
    assert done.stdout.splitlines()[1].startswith(name + b",")


def test_a_folder_called_as_a_data_set_is_mentioned(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    named = {"digits": "digits", "./digits": "folder", "digits/": "folder"}
    for data, dataset in named.items():
        values, _ = train.configuration(cli._parse(["ocjax", "train", data]))
        assert values["dataset"] == dataset
        said = capsys.readouterr().err
        assert ("folder of that name, write ./digits" in said) == (data == "digits")
