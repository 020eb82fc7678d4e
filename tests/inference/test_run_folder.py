import csv
import json
import shutil

import jax
import numpy as np
import pytest
import tiny_methods
from PIL import Image

from ocjax import Detector, data, runs
from ocjax._checks import InputError
from ocjax.inference.run_folder import trained
from ocjax.runs.folder import RunFolder
from ocjax.runs.train import run_all
from ocjax.training.checkpoint import Checkpoints


def task(method="autoencoder", channels=1, **changes):
    """A tiny run on noise."""
    rng = np.random.default_rng(0)
    dataset = data.Dataset(
        "digits",
        rng.integers(0, 256, (24, 32, 32, channels), np.uint8),
        np.repeat([0, 1], 12),
        np.tile([False, True], 12),
        ("good", "bad"),
    )
    hyper = {"latent": 3, "features": 2} if method == "autoencoder" else {}
    values = {"normal_class": "good", "batch_size": 2, "epochs": 1, "report": False}
    values |= {"false_positive_rate": 0.5, "hyper": hyper} | changes
    config = runs.configure(method=method, **values).to_dict()
    return runs.load(config, 7, dataset=dataset)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(task, run folder) of a finished run."""
    path, what = tmp_path_factory.mktemp("finished") / "run", task()
    runs.run(what, path)
    return what, path


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of its folder, to damage."""
    return shutil.copytree(finished[1], tmp_path / "run")


def test_a_finished_run_scores_as_it_was_judged(finished):
    what, path = finished
    detector = trained(path)
    with open(path / "eval" / "scores.csv") as file:
        rows = list(csv.DictReader(file))
    scores = detector.score(what.dataset.images[what.split.test])
    assert [repr(float(score)) for score in scores] == [row["score"] for row in rows]
    summary = json.loads((path / "eval" / "summary.json").read_text())
    assert summary["threshold"] is not None
    card = detector.scorer.card
    assert card.threshold == summary["threshold"]
    assert card.shape == (32, 32, 1) and detector.finished
    held_out = detector.score(what.dataset.images[what.split.validation])
    assert card.normals == tuple(sorted(held_out.tolist()))
    assert detector.known.config.batch_size == 2 and detector.known.hyper == what.hyper
    assert detector.known.config.normal_class == "good"
    assert detector.state.step == len(what.split.train) // 2


def test_pixels_are_standardized_as_in_training(tmp_path):
    what = task(standardize=True)
    runs.run(what, tmp_path / "run")
    with open(tmp_path / "run" / "eval" / "scores.csv") as file:
        scores = [float(row["score"]) for row in csv.DictReader(file)]
    found = trained(tmp_path / "run").score(what.dataset.images[what.split.test])
    assert found.tolist() == scores


def test_files_are_scored_as_images_are(finished, tmp_path):
    what, path = finished
    detector, images = trained(path), what.dataset.images[:3]
    files = [tmp_path / f"{i}.png" for i in range(3)]
    for file, image in zip(files, images, strict=True):
        Image.fromarray(image[..., 0]).save(file)
    found = list(detector.scorer.judge_files(files))
    assert [name for name, _ in found] == [str(file) for file in files]
    scores = [one.score for _, one in found if not isinstance(one, InputError)]
    assert scores == detector.score(images).tolist()


def test_images_of_another_shape_are_refused(finished):
    detector = trained(finished[1])
    for shape in [(2, 32, 32, 3), (2, 64, 64, 1), (32, 32, 1)]:
        with pytest.raises(InputError, match=r"\[N, 32, 32, 1\].*got \["):
            detector.score(np.zeros(shape, np.uint8))


def test_an_interrupted_run_scores_from_its_last_checkpoint(finished, copy):
    shutil.rmtree(copy / "eval")
    detector, whole = trained(copy), trained(finished[1])
    assert not detector.finished and detector.scorer.card.threshold is None
    images = finished[0].dataset.images
    np.testing.assert_array_equal(detector.score(images), whole.score(images))


def test_a_damaged_checkpoint_gives_way_to_the_one_before(finished, copy):
    state = trained(copy).state
    later = state._replace(step=state.step + 1)
    with Checkpoints(copy / "checkpoints") as checkpoints:
        checkpoints.save(later)
    newest = copy / "checkpoints" / str(int(later.step))
    (newest / "state" / "_METADATA").write_text("damaged")
    assert trained(copy).state.step == state.step


@pytest.mark.parametrize("method", tiny_methods.MAIN)
def test_colours_are_written_down(method, tmp_path):
    builder, config = tiny_methods.MAIN[method]
    hyper = {name: getattr(config, name) for name in config.__dataclass_fields__}
    what = task(method, 3, hyper=hyper)
    folder = RunFolder(tmp_path)
    folder.open(what.known().to_json())
    folder.close()
    images = np.zeros((1, 32, 32, 3), np.float32)
    like = jax.eval_shape(builder(config).init, jax.random.key(0), images)
    state = jax.tree.map(lambda x: np.full(x.shape, 2, x.dtype), like)
    with Checkpoints(folder.checkpoints) as checkpoints:
        checkpoints.save(state)
    detector = trained(tmp_path)
    assert detector.scorer.card.shape == (32, 32, 3)
    assert detector.known.hyper == config
    jax.tree.map(np.testing.assert_array_equal, detector.state, state)


@pytest.mark.parametrize(
    ("flags", "kept"),
    [({"min_max": True}, False), ({"mnist_normalization": True}, True)],
)
def test_a_threshold_on_other_scores_is_none(finished, copy, flags, kept):
    known = json.loads((copy / "run.json").read_text())
    config = known["config"]
    config["paper_code"] |= flags
    if kept:  # Of a method that can; nothing else is compared here.
        what = task("ganomaly", hyper={"latent": 3, "features": 2})
        config |= {"method": "ganomaly", "hyper": what.known().flat()["hyper"]}
        shutil.rmtree(copy / "checkpoints")
        builder, tiny = tiny_methods.MAIN["ganomaly"]
        images = np.zeros((1, 32, 32, 1), np.float32)
        like = jax.eval_shape(builder(tiny).init, jax.random.key(0), images)
        with Checkpoints(copy / "checkpoints") as checkpoints:
            checkpoints.save(jax.tree.map(lambda x: np.ones(x.shape, x.dtype), like))
    (copy / "run.json").write_text(json.dumps(known))
    assert (trained(copy).scorer.card.threshold is not None) == kept


def change(**fields):
    """Changes the configuration."""

    def do(path):
        known = json.loads((path / "run.json").read_text())
        known["config"] |= fields
        (path / "run.json").write_text(json.dumps(known))

    return do


def change_known(**fields):
    """Changes what else is known."""

    def do(path):
        known = json.loads((path / "run.json").read_text())
        (path / "run.json").write_text(json.dumps(known | fields))

    return do


def change_summary(**fields):
    """Changes the result."""

    def do(path):
        file = path / "eval" / "summary.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | fields))

    return do


def no_metadata(path):
    for file in path.glob("checkpoints/*/state/_METADATA"):
        file.unlink()


BAD = {
    "no folder": (shutil.rmtree, "There is no run folder"),
    "no config": (lambda path: (path / "run.json").unlink(), "no run.json"),
    "no checkpoint": (
        lambda path: shutil.rmtree(path / "checkpoints"),
        "has no checkpoint yet",
    ),
    "damaged checkpoint": (no_metadata, "No checkpoint in .* can be read"),
    "damaged config": (
        lambda path: (path / "run.json").write_text("{"),
        "run.json is damaged",
    ),
    "no configuration": (
        lambda path: (path / "run.json").write_text("[]"),
        "run.json is damaged",
    ),
    "many runs": (change_known(runs=[]), "name the folder of one"),
    "other channels": (change_known(channels=3), "No checkpoint in .* can be read"),
    "channels of none": (change_known(channels=2), "1 or 3 channels"),
    "seed of none": (change_known(seed="x"), "another version: expected a seed"),
    "data of none": (change_known(data=None), "another version: expected a seed"),
    "configuration of none": (change_known(config=[]), "another version: expected"),
    "moments of none": (
        change_known(standardization=[[0.5], [0.5]]),
        "another version: expected mean and deviation",
    ),
    "unknown field": (change(warmup=3), "another version: Unknown field .*'warmup'"),
    "unknown hyper": (change(hyper={"depth": 3}), "Unknown field .*'depth'"),
    "unknown method": (change(method="gan"), "another version: Unknown method 'gan'"),
    "other type": (change(epochs="many"), "`config.epochs` .* must be a whole number"),
    "fraction": (change(epochs=1.5), "must be a whole number"),
    "truth": (change(batch_size=True), "must be a whole number"),
    "no number": (change(tile_overlap=float("nan")), "must be a number"),
    "nothing": (change(augment=None), "`config.augment` .* must be text"),
    "vast": (change(image_size=10**400), "must be at most 2147483647"),
    "hyper of another type": (change(hyper={"latent": "3"}), "must be a whole number"),
    "hyper that is none": (change(hyper=["latent"]), "another version"),
    "larger networks": (
        change(hyper={"latent": 2**62, "features": 2}),
        "`config.hyper.latent` .* must be at most",
    ),
    "networks beyond any": (
        change(hyper={"latent": 2, "features": 2**30}),
        "run.json is damaged: |No checkpoint in .* can be read",
    ),
    "nested": (
        lambda path: (path / "run.json").write_text("[" * 100_000),
        "run.json is damaged",
    ),
    "other bytes": (
        lambda path: (path / "env.json").write_bytes(b"\xff"),
        "env.json is damaged",
    ),
    "list of environments": (
        lambda path: (path / "env.json").write_text("[]"),
        "env.json is damaged: expected one object",
    ),
    "list of versions": (
        lambda path: (path / "env.json").write_text('{"versions": []}'),
        "damaged eval/ or env.json",
    ),
    "list of results": (
        lambda path: (path / "eval" / "summary.json").write_text("[1]"),
        "summary.json is damaged: expected one object",
    ),
    "no threshold": (
        lambda path: (path / "eval" / "summary.json").write_text('{"auroc": 1}'),
        "summary.json is damaged: `protocol` must be one of",
    ),
    "threshold of a text": (
        change_summary(threshold="1"),
        "summary.json is damaged: `threshold` must be a number, got '1'",
    ),
    "promise beyond all": (
        change_summary(promised_false_positive_rate=2.5),
        "damaged eval/ or env.json",
    ),
    "scores that are none": (
        lambda path: (path / "eval" / "held_out.csv").write_text("score\nnan\n"),
        "damaged eval/ or env.json",
    ),
    "other networks": (
        change(hyper={"latent": 5, "features": 2}),
        "No checkpoint in .* can be read",
    ),
    "other scores": (
        lambda path: (path / "eval" / "held_out.csv").write_text("scores\n1\n"),
        "held_out.csv is missing or damaged",
    ),
}


def test_damaged_means_of_pixels_cost_one_line(copy):
    change(standardize=True)(copy)
    for value in (None, [1], [[1], [None]], {"a": 1}, [[1, 2], [1, 2]], [[1], ["nan"]]):
        change_known(standardization=value)(copy)
        with pytest.raises(InputError, match="expected mean and deviation") as caught:
            trained(copy)
        assert "\n" not in str(caught.value)


def test_training_says_that_no_checkpoint_can_be_read(finished, copy):
    (copy / "eval" / "summary.json").unlink()
    for file in copy.glob("checkpoints/*/state/manifest.ocdbt"):
        file.write_bytes(b"damaged")
    with pytest.raises(InputError, match="No checkpoint in .* can be read"):
        runs.run(finished[0], copy)


@pytest.mark.parametrize("what", BAD)
def test_a_bad_folder_costs_one_line(what, copy):
    do, message = BAD[what]
    do(copy)
    before = sorted(path for path in copy.parent.rglob("*"))
    with pytest.raises(InputError, match=message) as caught:
        trained(copy)
    assert "\n" not in str(caught.value) and str(copy) in str(caught.value)
    assert sorted(path for path in copy.parent.rglob("*")) == before


def test_principal_components_come_back_from_runs_sweeps_and_detectors(tmp_path):
    what = task("pca", hyper={"variance": 0.5, "error": "absolute"}, report=True)
    # Epochs and steps mean nothing to it, so few of them are no sign of anything.
    summary = runs.run(what, tmp_path / "run")
    assert summary is not None and not [w for w in summary.warnings if "step" in w]
    run, images = trained(tmp_path / "run"), what.dataset.images
    assert 1 < len(run.state.params["pca"]["components"]) < 10
    with open(tmp_path / "run" / "eval" / "scores.csv") as file:
        scores = [float(row["score"]) for row in csv.DictReader(file)]
    assert run.score(images[what.split.test]).tolist() == scores
    plots = {path.stem for path in (tmp_path / "run" / "plots").iterdir()}
    assert {"image_grid", "latents", "manifold"} <= plots
    assert "training_curves" not in plots

    tasks = [what._replace(seed=seed) for seed in range(2)]
    run_all(tasks, [tmp_path / "0", tmp_path / "1"])
    for name in "01":
        np.testing.assert_array_equal(
            trained(tmp_path / name).score(images), run.score(images)
        )

    options = {"random_state": 0, "false_positive_rate": 0.25}
    detector = Detector("pca", hyper__variance=0.5, **options).fit(images)
    again = Detector.load(detector.save(tmp_path / "detector"))
    np.testing.assert_array_equal(
        again.anomaly_score(images), detector.anomaly_score(images)
    )
