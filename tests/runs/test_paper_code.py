import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ocjax import runs
from ocjax._checks import InputError
from ocjax.methods import Method, Stage, State, preprocessing
from ocjax.runs import build, paper_code
from ocjax.runs.config import PaperCode, parse
from ocjax.runs.folder import RunFolder
from ocjax.training import processes

STATE = State({}, {}, {}, jnp.zeros((), jnp.int32))
TINY = {"latent": 3, "features": 2}


def _brightness(state, x):
    return x.mean(axis=(1, 2, 3))


def _against_the_batch(state, x):
    """How far an image is from the mean of its batch: what a leak looks like."""
    brightness = _brightness(state, x)
    return jnp.abs(brightness - brightness.mean(keepdims=True))


METHOD = Method(
    NotImplemented,
    (Stage(NotImplemented),),
    _brightness,
    {},
    score_batchwise=_against_the_batch,
)


def _task(**flags):
    """The digits, batches of 30; 355 test images."""
    config = runs.configure(
        method="ganomaly", paper_code=flags, hyper=TINY, batch_size=30, epochs=3
    )
    return runs.load(config.to_dict(), seed=0)


def test_all_flags_are_off_and_each_has_a_sentence_of_its_own():
    assert PaperCode().leaks() == []
    assert runs.configure().to_dict()["paper_code"] == dataclasses.asdict(PaperCode())
    flags = PaperCode("ordered", "test", True, True)
    assert len(set(flags.leaks())) == 4
    assert "ordered test batches" in flags.leaks()[0]
    assert "30% of the test part" in PaperCode(best_epoch="test_part").leaks()[0]


def test_without_flags_scores_are_those_of_the_last_state(tmp_path):
    task = _task()
    scores, held_out = paper_code.both_scores(task, METHOD, STATE, RunFolder(tmp_path))
    images = task.dataset.images / 127.5 - 1
    np.testing.assert_allclose(
        scores, images[task.split.test].mean((1, 2, 3)), atol=1e-5
    )
    np.testing.assert_allclose(
        held_out, images[task.split.validation].mean((1, 2, 3)), atol=1e-5
    )
    assert paper_code.reported(task).split.test is not None
    np.testing.assert_array_equal(paper_code.reported(task).split.test, task.split.test)


def test_each_process_scores_its_part_of_the_images(tmp_path, monkeypatch):
    task, folder = _task(), RunFolder(tmp_path)
    split = task.split._replace(test=task.split.test[:7])  # 4 and 3.
    task, parts = task._replace(split=split), []
    whole, _ = paper_code.both_scores(task, METHOD, STATE, folder)

    def gather(part):
        parts.append(part)
        return np.concatenate([part, part])

    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(processes, "gather", gather)
    for number in range(2):
        monkeypatch.setattr(jax, "process_index", lambda number=number: number)
        scores, _ = paper_code.both_scores(task, METHOD, STATE, folder)
        assert len(scores) == 7
    first, _, second, _ = parts
    np.testing.assert_array_equal(np.concatenate([first, second])[:7], whole)


def test_ordered_batches_have_normals_first_and_no_padding(tmp_path):
    task = _task(batch_statistics="ordered")
    scores, _ = paper_code.both_scores(task, METHOD, STATE, RunFolder(tmp_path))
    order = np.argsort(task.split.anomalous, kind="stable")
    images = task.dataset.images[task.split.test][order] / 127.5 - 1
    for start in range(0, len(order), 30):  # The last batch has 25 images.
        batch = images[start : start + 30].mean((1, 2, 3))
        np.testing.assert_allclose(
            scores[order[start : start + 30]], abs(batch - batch.mean()), atol=1e-5
        )


def test_shuffled_batches_mix_the_classes(tmp_path):
    ordered, shuffled = (
        paper_code.both_scores(
            _task(batch_statistics=kind), METHOD, STATE, RunFolder(tmp_path)
        )[0]
        for kind in ("ordered", "shuffled")
    )
    assert np.isfinite(shuffled).all()
    assert not np.allclose(shuffled, ordered)


def test_min_max_takes_the_extremes_of_the_test(tmp_path):
    plain = paper_code.both_scores(_task(), METHOD, STATE, RunFolder(tmp_path))
    scores, held_out = paper_code.both_scores(
        _task(min_max=True), METHOD, STATE, RunFolder(tmp_path)
    )
    assert (scores.min(), scores.max()) == (0, 1)
    np.testing.assert_array_equal(np.argsort(scores), np.argsort(plain[0]))
    low, high = plain[0].min(), plain[0].max()
    np.testing.assert_allclose(held_out, (plain[1] - low) / (high - low), rtol=1e-5)


def test_the_best_epoch_stays_and_is_not_forgotten(tmp_path):
    task, folder = _task(best_epoch="test"), RunFolder(tmp_path)
    inverted = METHOD._replace(score=lambda state, x: -_brightness(state, x))
    best = paper_code.BestEpoch(task, folder)
    good, bad = best.look(inverted, STATE), best.look(METHOD, STATE)
    good, bad = max(good, bad), min(good, bad)
    assert good > 0.5 > bad and good == pytest.approx(1 - bad)
    again = paper_code.BestEpoch(task, folder)  # As a resumed run has it.
    assert again.look(METHOD, STATE) in (
        pytest.approx(good),
        pytest.approx(bad),
    )
    scores, held_out = paper_code.both_scores(task, METHOD, STATE, folder)
    anomalous = task.split.anomalous
    better = scores[anomalous][:, None] > scores[~anomalous][None, :]
    assert better.mean() == pytest.approx(good, abs=0.01)
    assert len(held_out) == len(task.split.validation)


def test_images_that_chose_the_epoch_are_not_reported(tmp_path):
    task, folder = _task(best_epoch="test_part"), RunFolder(tmp_path)
    paper_code.BestEpoch(task, folder).look(METHOD, STATE)
    scores, _ = paper_code.both_scores(task, METHOD, STATE, folder)
    split = paper_code.reported(task).split
    count = len(task.split.test)
    assert len(scores) == len(split.test) == len(split.anomalous)
    assert len(split.test) == pytest.approx(0.7 * count, abs=1)
    assert set(split.test) < set(task.split.test)


def test_standardized_pixels_leave_the_range_of_tanh():
    seen = []

    def score(state, x):
        seen.append((float(x.min()), float(x.max())))
        return _brightness(state, x)

    step = lambda state, x, key: (state, {"mean": x.mean()})
    method = METHOD._replace(score=score, stages=(Stage(step),), reconstruct=score)
    of_mnist = [build.MNIST_MEAN], [build.MNIST_DEVIATION]
    wrapped = preprocessing.standardized(method, *of_mnist)
    ends = jnp.array([-1.0, 1.0])[:, None, None, None]
    wrapped.score(STATE, ends)
    np.testing.assert_allclose(seen[0], [-0.4242, 2.8215], atol=1e-3)
    _, metrics = wrapped.stages[0].step(STATE, ends, None)
    np.testing.assert_allclose(metrics["mean"], (2.8215 - 0.4242) / 2, atol=1e-3)
    assert wrapped.reconstruct is None


def test_a_run_with_a_leak_says_so_everywhere(tmp_path):
    flags = {"batch_statistics": "ordered", "best_epoch": "test", "min_max": True}
    config = runs.configure(
        method="ganomaly", paper_code=flags, hyper=TINY, batch_size=64, epochs=2
    )
    summary = runs.run(runs.load(config.to_dict(), seed=0), tmp_path / "run")
    assert summary is not None and len(summary.leaks) == 3
    report = (tmp_path / "run" / "report.html").read_text()
    assert report.count("Not honest: ") == 3
    rows = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    looks = [r["test_auroc"] for r in map(json.loads, rows) if "test_auroc" in r]
    assert len(looks) == 2
    assert summary.auroc == pytest.approx(max(looks))


def test_tiles_have_no_statistics_of_their_batch():
    config, hyper, _ = parse(
        runs.configure(
            method="ganomaly",
            paper_code={"batch_statistics": "shuffled"},
            tile=32,
            image_size=64,
        ).to_dict()
    )
    with pytest.raises(InputError, match="whole pictures, not for tiles"):
        build.build_method(config, hyper, None)


def test_the_best_epoch_needs_anomalies_to_look_at():
    task = _task(best_epoch="test")
    split = task.split._replace(anomalous=np.zeros(len(task.split.test), bool))
    paper_code.check(task)
    with pytest.raises(InputError, match="looks at anomalous test images"):
        paper_code.check(task._replace(split=split))


def test_a_leak_that_a_method_does_not_have_is_refused(tmp_path):
    config = runs.configure(
        method="autoencoder", paper_code={"batch_statistics": "ordered"}
    )
    with pytest.raises(InputError, match="ganomaly and skip_ganomaly"):
        runs.run(runs.load(config.to_dict(), seed=0), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(InputError, match="did you mean 'ordered'"):
        config = runs.configure(paper_code={"batch_statistics": "orderd"})
        runs.load(config.to_dict(), seed=0)
