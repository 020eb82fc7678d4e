import errno
import json
import pathlib

import pytest

from ocjax._checks import InputError
from ocjax.launch.folder import MetricsLog, RunFolder


def test_a_folder_belongs_to_one_configuration(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.open({"epochs": 3, "hyper": {"latent": 5}})
    folder.open({"epochs": 3, "hyper": {"latent": 5}})
    with pytest.raises(InputError, match=r"hyper\.latent 5 -> 6") as caught:
        folder.open({"epochs": 3, "hyper": {"latent": 6}})
    assert "epochs" not in str(caught.value)


def test_what_a_killed_process_left_does_not_make_a_folder_somebody_s(tmp_path):
    (tmp_path / ".config.json.123.tmp").write_text("{")
    RunFolder(tmp_path).open({"epochs": 3})
    assert RunFolder(tmp_path).read_json("config.json") == {"epochs": 3}


def test_a_full_disk_leaves_nothing_under_the_final_name(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path)

    def full(self, content):
        with open(self, "wb") as file:
            file.write(content[:3])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pathlib.Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        folder.write_json("eval/summary.json", {"auroc": 0.5})
    assert not [p for p in tmp_path.rglob("*") if p.is_file()]
    assert folder.result() is None


def test_a_full_disk_keeps_the_file_that_was_there(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path)
    folder.write_json("config.json", {"epochs": 3})

    def full(self, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pathlib.Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        folder.write_json("config.json", {"epochs": 4})
    assert folder.read_json("config.json") == {"epochs": 3}


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
    folder.write("config.json", '{"epochs": ')
    with pytest.raises(InputError, match="config.json is damaged"):
        folder.open({"epochs": 3})
