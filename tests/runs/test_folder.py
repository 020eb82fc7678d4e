import contextlib
import errno
import json
import os
import pathlib
import platform

import pytest
from summaries import SUMMARY

from ocjax._checks import InputError
from ocjax.runs.folder import RunFolder
from ocjax.runs.log import MetricsLog


def test_a_folder_belongs_to_one_configuration(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.open({"epochs": 3, "hyper": {"latent": 5}})
    folder.open({"epochs": 3, "hyper": {"latent": 5}})
    folder.close()
    with pytest.raises(InputError, match=r"hyper\.latent 5 -> 6") as caught:
        folder.open({"epochs": 3, "hyper": {"latent": 6}})
    assert "epochs" not in str(caught.value)


def test_what_a_killed_process_left_does_not_make_a_folder_somebody_s(tmp_path):
    (tmp_path / ".run.json.123.tmp").write_text("{")
    (tmp_path / ".lock").write_text("")
    with contextlib.closing(RunFolder(tmp_path)) as folder:
        folder.open({"epochs": 3})
    assert folder.read_json("run.json") == {"epochs": 3}


def test_a_full_disk_leaves_nothing_under_the_final_name(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path)

    def full(self, content):
        with open(self, "wb") as file:
            file.write(content[:3])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pathlib.Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        folder.finish(SUMMARY)
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]
    assert folder.result() is None


def test_a_full_disk_keeps_the_file_that_was_there(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path)
    folder.write_json("run.json", {"epochs": 3})

    def full(self, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pathlib.Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        folder.write_json("run.json", {"epochs": 4})
    assert folder.read_json("run.json") == {"epochs": 3}


def test_metrics_after_a_step_and_a_cut_line_are_dropped(tmp_path):
    folder = RunFolder(tmp_path)
    rows = [{"step": step, "loss": 0.5} for step in (1, 2, 3)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    folder.write("metrics.jsonl", text + '{"step": 4, "lo')
    assert folder.metrics() == rows
    assert folder.keep_metrics(2) == rows[:2]
    log = MetricsLog(folder, 2)
    log.write({"step": 3, "loss": 0.25})
    log.close()
    assert folder.metrics() == [*rows[:2], {"step": 3, "loss": 0.25}]


def test_damaged_json_is_named(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write("run.json", '{"epochs": ')
    with pytest.raises(InputError, match="run.json is damaged"):
        folder.open({"epochs": 3})


@pytest.fixture
def finished(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.open({"epochs": 3, "hyper": {"epochs": 1}})
    folder.finish(SUMMARY)
    folder.close()
    return folder


def test_more_epochs_lengthen_a_run(finished):
    finished.open({"epochs": 3, "hyper": {"epochs": 1}})
    assert finished.result() is not None
    finished.open({"epochs": 4, "hyper": {"epochs": 1}})
    assert finished.result() is None
    assert finished.read_json("run.json")["epochs"] == 4
    finished.close()


@pytest.mark.parametrize(
    "other", [{"epochs": 2}, {"hyper": {"epochs": 2}}, {"epochs": 4, "seed": 1}]
)
def test_other_changes_than_more_epochs_are_refused(finished, other):
    with pytest.raises(InputError, match="belongs to another configuration"):
        finished.open({"epochs": 3, "hyper": {"epochs": 1}} | other)
    assert finished.result() is not None
    assert not (finished.path / ".lock").exists()


def test_all_runs_of_a_table_are_lengthened(tmp_path):
    folder = RunFolder(tmp_path)
    runs = {"8-seed0": {"epochs": 3}, "8-seed1": {"epochs": 3}}
    folder.open({"runs": runs})
    folder.open({"runs": {name: {"epochs": 5} for name in runs}})
    folder.close()
    with pytest.raises(InputError, match=r"runs\.8-seed1\.epochs 5 -> 2"):
        folder.open({"runs": runs | {"8-seed1": {"epochs": 2}}})


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(InputError, match="run is a file; name a folder"):
        RunFolder(tmp_path / "run").open({})


def test_one_process_at_a_time_writes_a_folder(tmp_path):
    first, second = RunFolder(tmp_path), RunFolder(tmp_path)
    first.open({"epochs": 3})
    with pytest.raises(InputError, match=f"in use by process {os.getpid()} on .*wait"):
        second.open({"epochs": 3})
    first.close()
    second.open({"epochs": 3})
    second.close()
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_a_dead_owner_s_lock_is_taken_over(tmp_path):
    folder = RunFolder(tmp_path)
    owner = {"host": platform.node(), "pid": 2**22}
    (tmp_path / ".lock").write_text(json.dumps(owner))
    folder.open({"epochs": 3})
    assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()
    folder.close()


@pytest.mark.parametrize(
    "owner, lives",
    [
        ({"host": platform.node(), "pid": 1}, True),
        ({"host": platform.node(), "pid": 2**22}, False),
        ({"host": "another", "pid": 2**22}, True),  # Who could know?
        ({}, False),
    ],
)
def test_where_the_system_has_no_locks_the_owner_s_name_tells(
    tmp_path, monkeypatch, owner, lives
):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    (tmp_path / ".lock").write_text(json.dumps(owner) if owner else "")
    with contextlib.closing(RunFolder(tmp_path)) as folder:
        if lives:
            with pytest.raises(InputError, match="in use by process"):
                folder.open({"epochs": 3})
        else:
            folder.open({"epochs": 3})


def test_damaged_rows_are_dropped_and_the_others_stay(tmp_path):
    folder = RunFolder(tmp_path)
    good = [{"step": step, "seconds": 0.5, "loss": 1.0} for step in (1, 2)]
    damaged = [b"\xff", b"[" * 100_000, b"[1]", b'{"step": "1"}', b'{"stfp": 1}',
               b'{"step": 1, "seconds": null}', b'"step"', b""]  # fmt: skip
    lines = [json.dumps(good[0]).encode(), *damaged, json.dumps(good[1]).encode()]
    folder.write("metrics.jsonl", b"\n".join(lines) + b"\n")
    assert folder.metrics() == good
    assert folder.keep_metrics(1) == good[:1]
