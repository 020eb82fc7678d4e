"""What a user's mistake costs: one line, exit code 2, nothing half-written."""

import json

from collected import each
from commands import PLAIN, TINY, run, run_each, tiny

MISTAKES = {
    "flag": (["--wrkdir=x"], "wrkdir"),
    "field": (["--config.epoch=3"], "epoch"),
    "hyper-parameter": (["--config.hyper.latnt=3"], "latnt"),
    "type": (["--config.epochs=many"], "epochs"),
    "data set": (["--config.dataset=minst"], "did you mean 'mnist'"),
    "class": (["--config.normal_class=10"], "Unknown class '10'"),
    "protocol": (["--config.protocol=p3"], "did you mean"),
    "config file": (["--config=experiments/ganomaly/mnst.py"], "mnst.py"),
    "option": (["--config.hyper.score=l2"], "did you mean 'l1'"),
    "image size": (["--config.image_size=28"], "side 32, 64, 128"),
    "epochs": (["--config.epochs=-1"], "`config.epochs` (=-1) must be at least 0"),
    "devices": (["--config.devices=64"], "`devices` (=64)"),
    "seed": (["--seed=-1"], "seed"),
    "seed of 33 bits": (["--seed=4294967296"], "seed"),
    "last seed of 33 bits": (
        ["--seed=4294967295", "--config.seeds=2"],
        "`seed` (=4294967296) must be at least 0 and below 4294967296",
    ),
    "remote folder": (["--workdir=gs://bucket/run"], "--workdir on a local disk"),
    "file as a folder": ([f"--workdir={__file__}"], "is a file; name a folder"),
    "process without a coordinator": (["--process_id=0"], "need a --coordinator"),
    "process beyond the last": (
        ["--coordinator=localhost:1", "--num_processes=2", "--process_id=2"],
        "`process_id` (=2)",
    ),
    "hyper-parameter to vary": (
        ["--config.vary=hyper.latnt=1,2"],
        "did you mean 'hyper.latent'",
    ),
    "data set not prepared": (
        ["--config.dataset=mnist", "--data_dir=nowhere"],
        "pip install ",
    ),
}


def test_a_mistake_costs_one_line_and_nothing_is_written(tmp_path):
    commands = [[*TINY, *arguments] for arguments, _ in MISTAKES.values()]
    ended = zip(MISTAKES.values(), run_each(commands, tmp_path), strict=True)

    @each("mistake, end", [(*pair,) for pair in ended])
    def check(mistake, end):
        (_, expected), ((code, output, error), folder) = mistake, end
        assert code == 2, error
        assert expected in error
        assert "Traceback" not in error
        assert len(error.strip().splitlines()) == 1, error
        assert output == ""
        assert not list(folder.iterdir())

    check()


def test_a_loss_that_is_not_finite_stops_the_run_and_is_named(tmp_path):
    diverging = [*tiny("ganomaly"), "--config.hyper.learning_rate=1e12"]
    code, output, error = run(*diverging, f"--workdir={tmp_path}/run", cwd=tmp_path)
    assert code == 3, error
    assert "Not finite: " in error and "generator" in error and "(epoch " in error
    assert "Traceback" not in error
    assert output == ""


def test_a_run_of_many_that_diverges_is_reported_and_spoils_no_other(tmp_path):
    many = [
        *PLAIN,
        "--config.epochs=1",
        "--config.vary=hyper.learning_rate=2e-4,1e12",
        "--config.models_at_once=2",
    ]
    code, output, error = run(*many, f"--workdir={tmp_path}/runs", cwd=tmp_path)
    assert code == 3, error
    assert "1 runs diverged" in error and "Traceback" not in error
    good, bad = json.loads(output)["choices"]
    assert 0 <= good["auroc_mean"] <= 1
    assert bad == {"learning_rate": 1e12, "auroc_mean": None}
    table = (tmp_path / "runs" / "table.md").read_text()
    assert "0 (1 diverged)" in table


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    code, output, error = run(*TINY, f"--workdir={tmp_path}/file/run", cwd=tmp_path)
    assert code == 1
    assert "Not a directory" in error and "Traceback" not in error
    assert output == ""


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    code, _, error = run(*TINY, f"--workdir={tmp_path}", cwd=tmp_path)
    assert code == 2
    assert "neither empty nor a run folder" in error
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
