import csv
import dataclasses
import json

import pytest
from summaries import MEASURES, judged

from ocjax import data, runs, training
from ocjax._checks import InputError
from ocjax.evaluation import synthetic
from ocjax.runs import table, train
from ocjax.runs.bounds import BOUNDS, Words
from ocjax.runs.config import parse
from ocjax.runs.folder import RunFolder

NONE = training.NonFiniteError("Not finite.")


def _result(auroc):
    return judged(measures=dataclasses.replace(MEASURES, auroc=auroc))


def _table(scores, published=None, **changes):
    """A table of class -> AUROCs, one for each seed, of each choice that varies."""
    config = runs.configure(method="ganomaly", normal_class="all", **changes).to_dict()
    config["seeds"] = len(next(iter(scores.values())))
    todo, choices = table.tasks_of(config, 0, None)
    tasks = list(todo.values())
    names = [task.dataset.class_names[task.target] for task in tasks]
    results = [
        NONE if scores[name][task.seed] is None else _result(scores[name][task.seed])
        for name, task in zip(names, tasks, strict=True)
    ]
    return table.Table(tasks, results, choices, published and (lambda _: published))


def _scores(**others):
    return {str(digit): [0.5, 0.5] for digit in range(10)} | {
        name.strip("_"): values for name, values in others.items()
    }


def test_means_and_deviations_by_hand(tmp_path):
    found = _table(_scores(_0=[0.8, 0.9], _1=[0.6, 0.5]), {"0": 0.95, "mean": 0.7})
    # Classes 0.85, 0.55 and eight 0.5: mean 0.54; so are both seeds: deviation 0.
    summary = found.summary("runs/all")
    (mean,) = summary.means
    assert mean.auroc == pytest.approx(0.54)
    assert mean.deviation == pytest.approx(0)
    assert summary.to_json() == {
        "method": "ganomaly",
        "dataset": "digits",
        "protocol": "p2",
        "epochs": 0,
        "steps": 2000,
        "classes": 10,
        "seeds": 2,
        "diverged": 0,
        "auroc_mean": mean.auroc,
        "auroc_deviation": mean.deviation,
        "workdir": "runs/all",
    }
    found.write(RunFolder(tmp_path))
    lines = (tmp_path / "table.md").read_text().splitlines()
    # Deviation of 0.8 and 0.9: sqrt(2 * 0.05^2 / 1) = 0.0707
    assert "| 0 | 0.8500 | 0.0707 | 2 | 0.950 |" in lines
    assert "| 2 | 0.5000 | 0.0000 | 2 | – |" in lines
    assert "| mean | 0.5400 | 0.0000 | 2 | 0.700 |" in lines
    rows = (tmp_path / "results.jsonl").read_text().splitlines()
    assert [json.loads(row)["auroc"] for row in rows[:4]] == [0.8, 0.9, 0.6, 0.5]
    table_csv = list(csv.DictReader((tmp_path / "table.csv").read_text().splitlines()))
    assert float(table_csv[0]["AUROC"]) == pytest.approx(0.85)
    assert table_csv[0]["paper"] == "0.95" and table_csv[1]["paper"] == ""
    assert (tmp_path / "table.png").read_bytes()[:4] == b"\x89PNG"


def test_one_seed_has_no_deviation():
    scores = {name: values[:1] for name, values in _scores(_0=[0.8, 0.0]).items()}
    assert "| 0 | 0.8000 | – | 1 | – |" in _table(scores).markdown()


def test_runs_that_diverged_are_counted_and_left_out_of_means(tmp_path):
    found = _table(_scores(_0=[0.8, None], _1=[None, None]))
    lines = found.markdown().splitlines()
    assert "| 0 | 0.8000 | – | 1 (1 diverged) | – |" in lines
    assert "| 1 | – | – | 0 (2 diverged) | – |" in lines
    # No seed has all classes.
    assert "| mean | – | – | 0 (2 diverged) | – |" in lines
    assert found.summary("").diverged == 3
    found.write(RunFolder(tmp_path))
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 17


def test_what_varies_has_rows_of_its_own():
    found = _table(_scores(), vary="hyper.learning_rate=1e-4,1e-3 hyper.score=l1")
    assert (
        found.markdown()
        .splitlines()[0]
        .startswith("| learning_rate | score | normal class | AUROC |")
    )
    assert len(found.rows) == 2 * 11
    choices = found.summary("").to_json()["choices"]
    assert choices[0] == {"learning_rate": 1e-4, "score": "l1", "auroc_mean": 0.5}
    assert [choice["learning_rate"] for choice in choices] == [1e-4, 1e-3]


def _chosen(erased_by_latent, **changes):
    """A table of two latents, whose runs tell erased boxes so well."""
    changes = {"vary": "hyper.latent=8,16", "select_by": "erased"} | changes
    config = runs.configure(method="ganomaly", normal_class="8", seeds=2, **changes)
    todo, choices = table.tasks_of(config.to_dict(), 0, None)
    results = []
    for task in todo.values():
        erased = erased_by_latent[task.hyper.latent][task.seed]
        synthetic = {"erased": erased, "jigsaw": 0.5}
        result = dataclasses.replace(_result(0.7), synthetic=synthetic)
        results.append(NONE if erased is None else result)
    return table.Table(list(todo.values()), results, choices)


def test_a_choice_is_made_by_synthetic_anomalies_and_no_label():
    found = _chosen({8: [0.75, 0.5], 16: [0.5, 0.625]})
    summary = found.summary("runs/all")
    assert summary.chosen == {"latent": 8}
    assert [mean.synthetic for mean in summary.means] == [0.625, 0.5625]
    assert summary.to_json()["chosen"] == {"latent": 8}
    assert "(erased, AUROC 0.6250): latent=8" in found.markdown()
    # Means of both kinds: 0.5625 and 0.53125.
    by_mean = _chosen({8: [0.75, 0.5], 16: [0.5, 0.625]}, select_by="mean")
    assert "(mean, AUROC 0.5625): latent=8" in by_mean.markdown()


def test_a_choice_with_a_run_that_diverged_is_not_taken():
    found = _chosen({8: [0.75, None], 16: [0.5, 0.625]})
    assert found.summary("runs/all").chosen == {"latent": 16}


def test_no_choice_is_made_unless_asked_for():
    found = _chosen({8: [0.75, 0.5], 16: [0.5, 0.625]}, select_by="")
    assert found.summary("runs/all").chosen is None
    assert "Chosen" not in found.markdown()
    assert "chosen" not in found.summary("runs/all").to_json()


def test_every_kind_of_synthetic_anomaly_may_choose():
    assert BOUNDS["select_by"] == Words(("", *synthetic.KINDS, "mean"))


def test_a_run_measures_what_it_is_chosen_by(tmp_path):
    config = runs.configure(method="pca", select_by="jigsaw", report=False).to_dict()
    summary = runs.run(runs.load(config, seed=0), tmp_path / "run")
    assert summary is not None and list(summary.synthetic) == ["erased", "jigsaw"]
    assert all(0 <= auroc <= 1 for auroc in summary.synthetic.values())


def test_every_choice_stands_beside_its_own_number(monkeypatch):
    vary = "hyper.learning_rate=1e-4,1e-3"
    config = runs.configure(method="ganomaly", vary=vary).to_dict()
    todo, choices = table.tasks_of(config, 0, None)
    found = table.Table(
        list(todo.values()),
        [_result(0.5)] * 2,
        choices,
        lambda config: {"8": config["hyper"]["learning_rate"]},
    )
    assert [row.published for row in found.rows if row.name == "8"] == [1e-4, 1e-3]
    drawn = []
    monkeypatch.setattr(table.plots, "table", lambda *given: drawn.append(given))
    found.figure()
    assert set(drawn[0][2]) == {None}


def test_classes_that_punctuation_tells_apart_are_two_runs(monkeypatch):
    digits = data.load("digits")
    named = digits._replace(class_names=("a b", "a_b", *digits.class_names[2:]))
    monkeypatch.setattr(table.tasks, "dataset_of", lambda *_: named)
    config = runs.configure(normal_class="all").to_dict()
    todo, _ = table.tasks_of(config, 0, None)
    assert len(todo) == 10 and list(todo)[:2] == ["a_b-seed0", "1-a_b-seed0"]


def test_all_classes_and_seeds_become_runs_of_their_own():
    config = runs.configure(normal_class="all", seeds=2).to_dict()
    todo, _ = table.tasks_of(config, 5, None)
    assert [(t.target, t.seed) for t in todo.values()] == [
        (label, seed) for label in range(10) for seed in (5, 6)
    ]
    assert list(todo)[:2] == ["0-seed5", "0-seed6"]
    assert len({id(task.dataset.images) for task in todo.values()}) == 1


@pytest.mark.parametrize(
    "changes, lanes",
    [
        ({}, [10]),
        ({"models_at_once": 4}, [4]),
        (
            {"vary": "hyper.learning_rate=1e-4,1e-3"},
            [20],
        ),  # A number that a program takes.
        ({"vary": "hyper.latent=2,3"}, [10, 10]),
        ({"standardize": True}, [1] * 10),  # Each class by its own mean.
        ({"memory_budget_mb": 0.0}, [1]),  # Streamed, so one after another.
    ],
)
def test_every_group_has_as_many_lanes_as_it_has_runs(changes, lanes):
    settings = {"models_at_once": 1000, "hyper": {"latent": 3, "features": 2}}
    config = runs.configure(
        method="autoencoder", normal_class="all", **settings | changes
    )
    todo, _ = table.tasks_of(config.to_dict(), 0, None)
    groups = train._groups(list(todo.values()))
    assert [group.devices.lanes for group in groups] == lanes
    assert sorted(sum([group.numbers for group in groups], [])) == [*range(len(todo))]


def test_runs_on_streamed_images_train_one_after_another(tmp_path):
    config = runs.configure(
        method="autoencoder",
        normal_class="0",
        seeds=2,
        epochs=1,
        batch_size=32,
        hyper={"latent": 3, "features": 2},
        models_at_once=2,
        memory_budget_mb=0.0,
        report=False,
    )
    found = runs.launch(config.to_dict(), workdir=tmp_path / "table")
    assert isinstance(found, runs.TableSummary)
    assert (found.seeds, found.diverged) == (2, 0)
    # A finished table is shown again, with lanes for nobody.
    several = config.to_dict() | {"memory_budget_mb": 1000.0}
    more = tmp_path / "more"
    shown = [runs.launch(several, workdir=more) for _ in range(2)]
    assert shown[0] == shown[1]


@pytest.mark.parametrize(
    "vary, message",
    [
        ("hyper.learning_rat=1", "did you mean 'hyper.learning_rate'"),
        ("latent=2,3", "did you mean 'hyper.latent'"),
        ("epochs=2,3", "Unknown field of config.vary 'epochs'"),
        ("hyper.learning_rate=fast", "hyper.learning_rate='fast' is not a number"),
        ("hyper.learning_rate=nan", "hyper.learning_rate='nan' is not a number"),
        ("hyper.latent=2.5", "hyper.latent='2.5' is not a whole number"),
        ("hyper.latent", "hyper.latent='' is not a whole number"),
        ("hyper.learning_rate=1e-3,0.001", "has a value twice"),
        ("hyper.latent=2 hyper.latent=3", "hyper.latent is there twice"),
        ("hyper.score", "hyper.score='' is not text"),
        ("hyper.latent=0,3", "`config.hyper.latent` .=0. must be at least 1"),
    ],
)
def test_what_cannot_vary_is_refused(vary, message):
    config = runs.configure(method="ganomaly", vary=vary).to_dict()
    with pytest.raises(InputError, match=message):
        table.tasks_of(config, 0, None)


def test_a_weight_may_be_a_whole_number_and_zero():
    config = runs.configure(method="ganomaly", hyper={"w_adv": 0}).to_dict()
    assert parse(config)[1].w_adv == 0


def test_unknown_fields_are_refused_with_the_near_name():
    with pytest.raises(InputError, match="did you mean 'epochs'"):
        runs.configure(epoch=3)
    with pytest.raises(InputError, match="did you mean 'latent'"):
        runs.configure(hyper={"latnt": 3})
