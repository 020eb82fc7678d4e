import dataclasses
import importlib
import json
import pathlib
import shutil

import keep
import pytest
import tables
from summaries import SUMMARY, judged

from ocjax._checks import InputError
from ocjax.methods import METHODS
from ocjax.runs import configure
from ocjax.runs.config import from_file

ROOT = pathlib.Path(__file__).parents[2]
EXPERIMENTS = ROOT / "experiments"
README = "Before.\n\n<!-- results: begin -->\nold\n<!-- results: end -->\n\nAfter.\n"
LEAK = "The epoch was chosen on labels."


def line(auroc, *, seed=0, name="2", leaks=(), steps=12_000, **hyper):
    """A result of CAE-Ent on MNIST, as the configuration file says but for `hyper`."""
    config = from_file(EXPERIMENTS / "caent" / "mnist.py")
    config |= {"steps": steps, "hyper": config["hyper"] | hyper}
    return {
        "method": "caent",
        "dataset": "mnist",
        "protocol": "p2",
        "normal_class": name,
        "seed": seed,
        "epochs": 0,
        "steps": steps,
        "auroc": auroc,
        "auroc_low": auroc - 0.01,
        "auroc_high": auroc + 0.01,
        "average_precision": 0.98,
        "fpr_at_95_tpr": 0.125,
        "equal_error_rate": 0.0625,
        "normals": 1000,
        "anomalies": 9000,
        "promised_false_positive_rate": 0.05,
        "reached_false_positive_rate": 0.06,
        "held_out_normals": 500,
        "train_normals": 4500,
        "images_per_second": None,
        "train_seconds": 120.0,
        "leaks": list(leaks),
        "kinds": {
            "1": {"auroc": 0.25, "auroc_low": 0.0, "auroc_high": 1.0, "anomalies": 4},
            "3": {"auroc": 0.75, "auroc_low": 0.0, "auroc_high": 1.0, "anomalies": 4},
        },
        "config": config,
        "environment": {"device": "1 x cpu", "cores": 2, "commit": "abc"},
    }


@pytest.fixture
def render(tmp_path):
    """Writes lines into a copy of a folder and returns the rendered README's rows."""
    folder = tmp_path / "caent"
    folder.mkdir()
    for name in ("mnist.py", "paper.json"):
        shutil.copy(EXPERIMENTS / "caent" / name, folder)
    for path in (folder, tmp_path):
        (path / "README.md").write_text(README)

    def rendered(lines, of=folder):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / "results.jsonl").write_text(text)
        yardsticks = tables.Yardsticks(tmp_path)
        tables.render(folder, yardsticks)
        tables.render_overall(tmp_path, yardsticks)
        return (of / "README.md").read_text()

    return rendered


def test_what_is_ours_stands_beside_the_paper(render):
    text = render(
        [line(0.9), line(0.92, seed=1), line(0.8, attention=False, w_inf=0.0)]
    )
    # Mean 0.91; deviation sqrt(2 * 0.01^2) = 0.014.
    assert "| mnist, p2 | 2 normal | 0.910 ± 0.014 (2) / 0.939 |  | 0.800 / – |" in text
    assert "| mnist, p2 | 3 normal | – / 0.952 |  |  |" in text
    assert "| mnist, p2 | mean | – / 0.967 |  |  |" in text
    run = "CAE-Ent | 1 | 12,000 steps"
    cells = "0.920 (0.910 to 0.930) | 1: 0.250 | 0.939 | -0.019"
    assert f"| 2 normal | {run} | {cells} |" in text
    assert text.startswith("Before.\n\n<!-- results: begin -->\n| data set |")
    assert text.endswith("\n<!-- results: end -->\n\nAfter.\n") and "old" not in text


def test_the_mean_over_classes_is_of_seeds_that_have_all(render):
    lines = [line(0.9 + 0.01 * (k == 3), name=str(k)) for k in range(10)]
    text = render([*lines, line(0.1, seed=1)])
    assert "| mnist, p2 | mean | 0.901 / 0.967 |" in text


def test_one_seed_on_two_kinds_of_device_is_two_runs(render):
    other = line(0.92) | {
        "environment": {"device": "1 x GPU", "cores": 2, "commit": "abc"}
    }
    text = render([line(0.8), line(0.9), other])
    # The later of two on one device; mean 0.91, deviation 0.014.
    assert "| mnist, p2 | 2 normal | 0.910 ± 0.014 (2) / 0.939 |" in text


def test_other_settings_are_named_and_kept_apart(render):
    text = render([line(0.9, w_inf=0.1, attention=False, steps=5)])
    assert "| with latent entropy loss, w_inf=0.1, steps=5 |" in text
    assert "| mnist, p2 | 2 normal | – / 0.939 |  |  |" in text


@pytest.mark.parametrize(
    "field, value", [("augment", "crop"), ("standardize", True), ("tile", 32)]
)
def test_what_the_images_go_through_is_a_setting_too(render, field, value):
    other = line(0.1)
    other["config"][field] = value
    text = render([line(0.9), other])
    assert "| mnist, p2 | 2 normal | 0.900 / 0.939 |" in text
    assert f"| CAE-Ent, {field}={value} |" in text


def test_leaks_go_to_a_table_of_their_own(render):
    text = render([line(0.5), line(0.99, leaks=[LEAK])])
    text, *_ = text.partition("As published")
    honest, _, dishonest = text.partition("Not honest")
    assert "0.500 / 0.939" in honest and "0.990" not in honest
    assert f"| {LEAK} | mnist | p2 |" in dishonest and "0.500" not in dishonest


def test_the_table_of_all_methods(render, tmp_path):
    text = render([line(0.9, name="8")], of=tmp_path)
    assert (
        "| caent | 0.900 / 0.912 | – / 0.967 | – | – | – / 0.692 | – / 0.762 |" in text
    )


def test_simple_scores_stand_beside_every_method(render, tmp_path):
    def measured(auroc, **differences):
        judged = {"auroc": auroc, "kinds": {}}
        return line(0.9, **differences) | {"baselines": {"mean image": judged}}

    lines = [measured(0.8, name=str(digit)) for digit in range(10)]
    lines += [measured(0.7, seed=1, name="8"), measured(0.1, leaks=[LEAK])]
    enlarged = measured(0.2)
    enlarged |= {"config": {**line(0.9)["config"], "image_size": 64}}
    text = render([*lines, enlarged])
    assert "| squares | mean image | pca | pca 16 | knn | lof |" in text
    cells = " |  |  |  |  | {} | – | – | – | – |"
    assert "| mnist, p2 | 2 normal | 0.900 / 0.939" + cells.format("0.800") in text
    assert "| mnist, p2 | mean | 0.900 / 0.967" + cells.format("0.795") in text
    overall = (tmp_path / "README.md").read_text()
    assert "| yardstick: mean image | 0.750 | 0.800 | – | – | – | – |" in overall


def test_tables_of_the_paper_stand_whole_below(render):
    text = render([])
    assert "As published, Table 4, ablation (mean CIFAR-10 AUC):" in text
    assert "| With channel attention | 0.655 |" in text


def test_measures_have_a_table_of_their_own(render):
    def measured(seed, auroc):
        return line(0.9, seed=seed) | {"measures": {"squared error": auroc}}

    text = render([measured(0, 0.91), measured(1, 0.93), line(0.5, seed=2)])
    row = "| mnist, p2 | CAE-Ent | 2 normal | 2 | 0.920 ± 0.014 |"
    assert "| runs | squared error |" in text and row in text


def lof(auroc, *, name="8", image_size=32, **hyper):
    """A result of LOF on MNIST, as it is by default but for what is given."""
    config = configure(method="lof", dataset="mnist").to_dict()
    hyper = dataclasses.asdict(METHODS["lof"][0]()) | hyper
    config |= {"hyper": hyper, "image_size": image_size}
    return line(auroc, name=name) | {"method": "lof", "config": config}


def test_classical_detectors_have_rows_of_their_default_configuration(tmp_path):
    folder = tmp_path / "classical"
    folder.mkdir()
    for path in (folder, tmp_path):
        (path / "README.md").write_text(README)
    lines = [lof(0.5 + digit / 20, name=str(digit)) for digit in range(10)]
    lines += [lof(0.1, neighbours=5), lof(0.1, image_size=64)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "results.jsonl").write_text(text)
    tables.render_overall(tmp_path, tables.Yardsticks(tmp_path))
    row = "| lof | 0.900 / – | 0.700 / – | – | – | – | – |"
    assert row in (tmp_path / "README.md").read_text()
    tables.render_classical(folder)
    # The mean of 0.50, 0.55, ... 0.95.
    assert "| 0.900 | 0.950 | 0.725 |" in (folder / "README.md").read_text()


def summary(name):
    """What is in the folder of a run, as JSON."""
    identity = dataclasses.replace(
        SUMMARY.identity, method="caent", target_class=name, epochs=15
    )
    return dataclasses.replace(SUMMARY, identity=identity).to_json()


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A folder of two finished runs, and where their results go."""
    monkeypatch.setattr(keep, "HERE", tmp_path)
    (tmp_path / "caent").mkdir()
    for name in ("a", "b"):
        kept = line(0.9, name=name)
        files = {
            "run.json": {"config": kept["config"], "seed": 3, "data": "1"},
            "env.json": kept["environment"],
            "eval/summary.json": summary(name),
        }
        for file, content in files.items():
            path = tmp_path / "runs" / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))
    return tmp_path / "runs", tmp_path / "caent" / "results.jsonl"


def test_runs_are_added_once(runs):
    folder, kept = runs
    keep.main([str(folder / "b")])
    keep.main([str(folder)])
    found = [json.loads(text) for text in kept.read_text().splitlines()]
    assert [result["normal_class"] for result in found] == ["b", "a"]
    whole = json.loads(json.dumps(summary("a")))
    names = found[1].keys() - {"config", "environment", "measures"}
    assert {name: found[1][name] for name in names} == {n: whole[n] for n in names}
    assert found[1]["environment"] == line(0.9)["environment"]
    # As `run.json` has them.
    assert found[1]["config"] == line(0.9)["config"] | {"seed": 3, "data": "1"}
    more = {"baselines", "note", "pixel_auroc", "per_region_overlap", "synthetic"}
    assert found[1]["measures"] == {}
    more.add("measures")
    assert found[1].keys() == line(0.9).keys() | more


def test_a_run_without_anomalies_has_nothing_to_keep(runs):
    folder, kept = runs
    bare = judged(measures=None, kinds={}, anomalies=0)
    bare = dataclasses.replace(bare, baselines={}).to_json()
    (folder / "a" / "eval" / "summary.json").write_text(json.dumps(bare))
    with pytest.raises(SystemExit, match="a: no test image is anomalous"):
        keep.main([str(folder / "a")])
    assert not kept.exists()


def test_the_lines_that_are_kept_come_back():
    lines = [
        text
        for file in EXPERIMENTS.glob("*/results.jsonl")
        for text in file.read_text().splitlines()
    ]
    assert len(lines) > 200
    for text in lines:
        values, again = json.loads(text), keep.Result.from_json(json.loads(text))
        written = json.loads(json.dumps(again.to_json()))
        assert {name: written[name] for name in values} == values


def test_a_damaged_line_is_named(by_kind):
    with pytest.raises(InputError, match="`auroc` must be a number, got 'high'"):
        by_kind(tile(0.5) | {"auroc": "high"})
    other = tile(0.5)
    del other["seed"]
    with pytest.raises(InputError, match="`seed` is missing"):
        by_kind(other)


def test_what_is_no_commit_or_no_run_is_refused(runs):
    folder, kept = runs
    (folder / "a" / "env.json").write_text('{"commit": "abc+"}')
    with pytest.raises(SystemExit, match="is no commit"):
        keep.main([str(folder)])
    with pytest.raises(SystemExit, match="no finished run"):
        keep.main([str(kept.parent)])
    assert not kept.exists()


def test_damaged_runs_are_refused_in_one_line(runs):
    folder, kept = runs
    files = [folder / "a" / name for name in ("run.json", "env.json")]
    finished = folder / "a" / "eval" / "summary.json"
    for file in (*files, finished):
        whole = file.read_text()
        for content in ("{", "[" * 100_000, "{}", "[]", "3", "null"):
            file.write_text(content)
            with pytest.raises(SystemExit, match=r"a: .*(damaged|lacks)") as error:
                keep.main([str(folder / "a")])
            assert "\n" not in str(error.value)
        file.unlink()
        if file is not finished:  # Without it, a run is not finished.
            with pytest.raises(SystemExit, match="missing"):
                keep.main([str(folder / "a")])
        file.write_text(whole)
    assert not kept.exists()


def test_a_command_without_a_folder_says_how_it_is_used():
    for module, arguments in ((keep, []), (keep, ["--help"]), (tables, ["render"])):
        with pytest.raises(SystemExit, match=f"python experiments/{module.__name__}"):
            module.main(arguments)


@pytest.fixture
def by_kind(tmp_path):
    """Writes results of tiles and returns the rendered page's rows."""

    def rendered(*lines):
        (tmp_path / "caent").mkdir(exist_ok=True)
        text = "\n".join(map(json.dumps, lines))
        (tmp_path / "caent" / "results.jsonl").write_text(text)
        (tmp_path / "other_data.md").write_text(README)
        tables.render_kinds(tmp_path)
        return (tmp_path / "other_data.md").read_text()

    return rendered


def tile(auroc, seed=0, **kinds):
    found = {"auroc_low": 0.0, "auroc_high": 1.0, "anomalies": 4}
    return line(auroc, seed=seed, name="good") | {
        "dataset": "magnetic_tile",
        "protocol": "folder",
        "kinds": {name: found | {"auroc": value} for name, value in kinds.items()},
        "note": "Tiles.",
    }


def test_kinds_of_anomalies_have_their_columns_and_runs_their_spread(by_kind):
    page = by_kind(tile(0.5, 0, crack=0.25), tile(0.7, 1, crack=0.75))
    assert "### Magnetic tiles" in page and "Tiles. Protocol `folder`." in page
    # Deviations of two: |a - b| / sqrt(2).
    assert "| 0.600 ± 0.141 | 0.500 ± 0.354 |" in page
    assert "### Stop signs" not in page


def test_a_kind_that_a_run_lacks_leaves_its_cell_empty(by_kind):
    other = tile(0.7, fray=0.75) | {"method": "ganomaly"}
    rows = by_kind(tile(0.5, crack=0.25), other).splitlines()
    assert "| AUROC | crack | fray |" in next(r for r in rows if "AUROC" in r)
    assert any("| 0.500 (0.490 to 0.510) | 0.250 | – |" in row for row in rows)
    assert any("| 0.700 (0.690 to 0.710) | – | 0.750 |" in row for row in rows)


def test_other_settings_have_rows_of_their_own(by_kind):
    other = tile(0.7, 1, crack=0.75)
    other["config"]["tile"] = 32
    page = by_kind(tile(0.5, 0, crack=0.25), other)
    assert "| caent, 12,000 steps, tile=0 | 1 | good | 0.500" in page
    assert "| caent, 12,000 steps, tile=32 | 1 | good | 0.700" in page


def test_a_score_without_training_has_no_interval_of_another(by_kind):
    energy = {"auroc": 0.6, "kinds": {}}
    page = by_kind(tile(0.5, crack=0.25) | {"baselines": {"energy": energy}})
    assert "| energy alone | 1 | good | 0.600 | – |" in page


def test_all_tables_are_those_of_the_results(tmp_path):
    for name in ("experiments", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name)
    tables.render_all(tmp_path)
    pages = [*tmp_path.glob("experiments/**/*.md"), *tmp_path.glob("docs/*.md")]
    for page in pages:
        assert page.read_text() == (ROOT / page.relative_to(tmp_path)).read_text()


def test_the_page_of_benchmarks_is_that_of_their_results(monkeypatch):
    benchmarks = ROOT / "benchmarks"
    monkeypatch.syspath_prepend(benchmarks)
    page = importlib.import_module("render").page()
    assert page == (benchmarks / "README.md").read_text()
