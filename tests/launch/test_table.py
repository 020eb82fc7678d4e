import json

import pytest

from ocjax import launch
from ocjax._checks import InputError
from ocjax.launch import table
from ocjax.launch.folder import RunFolder


def _results(scores):
    return [
        {
            "method": "ganomaly",
            "dataset": "digits",
            "protocol": "p2",
            "epochs": 1,
            "normal_class": name,
            "seed": seed,
            "auroc": value,
        }
        for name, values in scores.items()
        for seed, value in enumerate(values)
    ]


def test_means_and_deviations_by_hand(tmp_path):
    scores = {"0": [0.8, 0.9], "1": [0.6, 0.5]}
    summary = table._write_table(RunFolder(tmp_path), _results(scores))
    # Classes 0.85 and 0.55: mean 0.7. Seeds (0.8 + 0.6) / 2 = 0.7 and 0.7: deviation 0.
    assert summary["auroc_mean"] == pytest.approx(0.7)
    assert summary["auroc_deviation"] == pytest.approx(0)
    lines = (tmp_path / "table.md").read_text().splitlines()
    # Deviation of 0.8 and 0.9: sqrt(2 * 0.05^2 / 1) = 0.0707
    assert "| 0 | 0.8500 | 0.0707 | 2 |" in lines
    assert "| mean | 0.7000 | 0.0000 | 2 |" in lines
    rows = (tmp_path / "results.jsonl").read_text().splitlines()
    assert [json.loads(row)["auroc"] for row in rows] == [0.8, 0.9, 0.6, 0.5]


def test_one_seed_has_no_deviation(tmp_path):
    table._write_table(RunFolder(tmp_path), _results({"0": [0.8], "1": [0.6]}))
    assert "| 0 | 0.8000 |  | 1 |" in (tmp_path / "table.md").read_text()


def test_all_classes_and_seeds_become_runs_of_their_own():
    config = launch.configure(normal_class="all", seeds=2).to_dict()
    tasks = table._tasks(config, 5, None)
    assert [(t.target, t.seed) for t in tasks] == [
        (label, seed) for label in range(10) for seed in (5, 6)
    ]


def test_every_class_and_seed_is_run_and_tabulated(tmp_path, monkeypatch):
    two_classes = lambda *a, tasks=table._tasks: tasks(*a)[:4]
    monkeypatch.setattr(table, "_tasks", two_classes)
    config = launch.configure(
        normal_class="all",
        seeds=2,
        epochs=1,
        batch_size=64,
        hyper={"latent": 3, "features": 2},
    )
    summary = launch.launch(config.to_dict(), workdir=tmp_path / "runs")
    assert (summary["classes"], summary["seeds"]) == (2, 2)
    folders = {p.name for p in (tmp_path / "runs").iterdir() if p.is_dir()}
    assert folders == {"0-seed0", "0-seed1", "1-seed0", "1-seed1"}
    rows = map(
        json.loads, (tmp_path / "runs" / "results.jsonl").read_text().split("\n")[:4]
    )
    found = [row["auroc"] for row in rows]
    assert summary["auroc_mean"] == pytest.approx(sum(found) / 4)


def test_unknown_fields_are_refused_with_the_near_name():
    with pytest.raises(InputError, match="did you mean 'epochs'"):
        launch.configure(epoch=3)
    with pytest.raises(InputError, match="did you mean 'latent'"):
        launch.configure(hyper={"latnt": 3})
