"""The estimator with images, and with what scikit-learn has for estimators."""

import dataclasses
import json
import pickle
import tracemalloc
import warnings
import zipfile
from typing import Any

import jax
import numpy as np
import pyarrow
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, UndefinedMetricWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from tiny_detector import IMAGES, TINY, detector

from ocjax import Detector, inference, methods
from ocjax._checks import InputError
from ocjax.inference import opening


def copy(one) -> Any:
    return clone(one)


@pytest.fixture(scope="module")
def fitted():
    return detector().fit(IMAGES)


def test_the_four_scores_agree(fitted):
    scores = fitted.anomaly_score(IMAGES)
    assert scores.dtype == np.float64 and scores.shape == (40,)
    np.testing.assert_array_equal(fitted.score_samples(IMAGES), -scores)
    decision = fitted.decision_function(IMAGES)
    np.testing.assert_array_equal(decision, -scores - fitted.offset_)
    np.testing.assert_array_equal(
        fitted.predict(IMAGES), np.where(scores > fitted.card_.threshold, -1, 1)
    )
    verdicts = fitted.judge(IMAGES, explain=True)
    np.testing.assert_array_equal(verdicts.anomalous, fitted.predict(IMAGES) == -1)
    assert verdicts.heatmaps.shape == (40, 32, 32)
    assert ((verdicts.p_values > 0) & (verdicts.p_values <= 1)).all()
    np.testing.assert_array_equal(
        detector().fit_predict(IMAGES), fitted.predict(IMAGES)
    )


def test_the_threshold_is_of_held_out_images_at_the_rate(fitted):
    normals = fitted.card_.normals
    assert len(normals) == 10 and set(normals) <= set(fitted.anomaly_score(IMAGES))
    # ceil(11 * 0.8) = 9: the ninth of ten.
    assert fitted.card_.threshold == normals[8] == -fitted.offset_


def test_too_few_held_out_images_for_the_rate_warn():
    with pytest.warns(
        UserWarning, match="10 held-out .* 0.01, which needs 99: .* 0.0909"
    ):
        found = detector(false_positive_rate=0.01).fit(IMAGES)
    assert found.card_.false_positive_rate == 1 / 11
    assert found.card_.threshold == found.card_.normals[-1]


def test_contamination_is_the_share_of_training_images_called_anomalous():
    assert np.sum(detector(contamination=0.1).fit_predict(IMAGES) == -1) == 4


def test_contamination_promises_no_rate_and_is_checked_before_training():
    found = detector(contamination=0.34).fit(IMAGES)
    assert found.card_.false_positive_rate is None
    verdicts = found.judge(IMAGES)
    np.testing.assert_array_equal(verdicts.anomalous, found.predict(IMAGES) == -1)
    with pytest.raises(ValueError, match="`contamination`"):
        detector(contamination="foo", epochs=10**9).fit(IMAGES)


def test_uint8_images_make_a_detector_of_pictures_whatever_the_range(tmp_path):
    path = detector(value_range="training").fit(IMAGES).save(tmp_path / "a.ocjax")
    assert np.isfinite(inference.open(path).score(IMAGES)).all()


def test_a_range_stated_or_trained_holds_for_other_numbers_too():
    floats = IMAGES.astype(float)
    for options, shown in (
        ({"value_range": (0, 1)}, floats / 255),
        ({"value_range": "training"}, floats),
    ):
        found = detector(**options).fit(IMAGES)
        expected = found.anomaly_score(IMAGES)
        np.testing.assert_allclose(found.anomaly_score(shown), expected, rtol=1e-4)
    found = detector(value_range="training").fit(floats)
    with pytest.raises(ValueError, match="Expected numbers as in `fit`"):
        found.anomaly_score(IMAGES)


@pytest.mark.parametrize(
    "shown, options",
    [(IMAGES / 255, {"value_range": "training"}), (IMAGES.reshape(40, -1), {})],
    ids=["range of the training data", "rows"],
)
def test_a_detector_of_other_things_does_not_judge_pictures(shown, options, tmp_path):
    path = detector(**options).fit(shown).save(tmp_path / "detector.ocjax")
    for opened in (inference.open, opening.parts):
        with pytest.raises(InputError, match="cannot judge pictures"):
            opened(path)
    assert np.isfinite(Detector.load(path).anomaly_score(shown)).all()


@pytest.mark.parametrize(
    ("shown", "options"),
    [
        (IMAGES[..., 0], {}),
        (IMAGES.reshape(40, -1), {"image_shape": (32, 32)}),
        (IMAGES.reshape(40, -1), {"image_shape": (32, 32, 1)}),
        (IMAGES.reshape(40, -1), {}),  # 1,024 features are 32 x 32 anyway.
        (IMAGES.astype(int), {"value_range": (0, 255)}),
    ],
    ids=["three axes", "rows", "rows with a channel", "a table", "integers"],
)
def test_the_same_images_in_another_form_score_the_same(fitted, shown, options):
    found = detector(**options).fit(shown).score_samples(shown)
    np.testing.assert_allclose(found, fitted.score_samples(IMAGES), rtol=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("floats", [False, True], ids=["uint8", "floats"])
def test_images_of_any_size_are_resized(channels, floats):
    images = IMAGES[:, :20, :24].repeat(channels, -1)
    shown = images / 255 if floats else images
    found = detector(value_range=(0, 1) if floats else None).fit(shown)
    assert found.card_.shape == (32, 32, channels)
    assert np.isfinite(found.score_samples(shown)).all()
    with pytest.raises(ValueError, match=r"\[N, 20, 24, .\], as in `fit`, got"):
        found.predict(shown[:, :10])


def test_values_beyond_the_training_range_are_clipped_at_twice_it():
    rows = np.linspace(-1, 1, 40)[:, None] * [1, 2, 3]
    found = detector(value_range="training").fit(rows)
    assert found.range_ == (-3, 3)
    far, beyond = found.score_samples([[6, 6, 6]]), found.score_samples([[60, 60, 60]])
    assert far == beyond


BAD = {
    "method": ({"method": "autoencodr"}, IMAGES, "did you mean 'autoencoder'"),
    "hyper": ({"hyper": {"lattent": 3}}, IMAGES, "hyper__latent"),
    "no mapping": ({"hyper": 3}, IMAGES, "must be a mapping"),
    "parameter": ({"epoch": 3}, IMAGES, "did you mean 'epochs'"),
    "range": ({}, IMAGES / 255, "state their `value_range`"),
    "out of range": ({"value_range": (0, 1)}, IMAGES.astype(float), "got values from"),
    "not a number": ({"value_range": (0, 1)}, IMAGES * np.nan, "to be finite"),
    "infinite rows": ({"value_range": "training"}, [[1.0, 2], [3, np.inf]], "finite"),
    "an infinite picture": (
        {"value_range": "training"},
        [np.ones((3, 4)), np.full((5, 6), -np.inf)],
        "Expected `X` to be finite",
    ),
    "image shape": ({"image_shape": (3, 3)}, IMAGES.reshape(40, -1), "rows of 9"),
    "channels": ({}, IMAGES.reshape(40, 32, 16, 2), "C 1 or 3"),
    "one image": ({}, IMAGES[:1], "minimum of 2"),
    "a picture": ({}, IMAGES[0], "one picture"),
    "a row": ({}, IMAGES[0].ravel(), "one row"),
    "no pixels": ({}, IMAGES[:, :0], "that have pixels"),
    "nothing": ({}, [], "an empty list"),
    "a number": ({}, 3, "got one int"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_costs_one_clear_line(what):
    changes, images, message = BAD[what]
    with pytest.raises(ValueError, match=message) as caught:
        Detector(**{"method": "autoencoder", **TINY, **changes}).fit(images)
    assert "\n" not in str(caught.value)


def test_scores_need_a_fit():
    with pytest.raises(NotFittedError):
        detector().predict(IMAGES)


def test_fields_of_the_method_are_parameters():
    one = Detector("autoencoder", hyper__latent=5)
    assert one.get_params()["hyper__latent"] == 5
    assert one.get_params()["hyper__features"] == 16
    assert copy(one).set_params(hyper__latent=7).hyper == {"latent": 7}
    config = methods.METHODS["autoencoder"][0](latent=9)
    assert Detector("autoencoder", hyper=config).get_params()["hyper__latent"] == 9
    with pytest.raises(InputError, match="did you mean 'hyper__latent'"):
        one.set_params(hyper__latnt=3).fit(IMAGES)


def score(estimator, X, y=None):
    return float(np.mean(estimator.predict(X) == 1))


def test_scikit_learn_s_tools_work_on_images():
    rates = cross_val_score(detector(), IMAGES, scoring=score, cv=2)
    assert rates.shape == (2,) and np.isfinite(rates).all()
    grid = {"hyper__latent": [2, 3], "method": ["autoencoder"]}
    search = GridSearchCV(detector(), grid, scoring=score, cv=2).fit(IMAGES)
    assert search.best_params_["hyper__latent"] in (2, 3)
    invert = FunctionTransformer(lambda x: 255 - x)
    pipeline = make_pipeline(invert, detector()).fit(IMAGES)
    expected = detector().fit(255 - IMAGES).predict(255 - IMAGES)
    np.testing.assert_array_equal(pipeline.predict(IMAGES), expected)


def test_the_score_is_the_area_under_the_roc_curve(fitted):
    labels = np.repeat([1, -1], 20)
    scores = fitted.score_samples(IMAGES)
    pairs = scores[:20, None] > scores[20:]
    assert fitted.score(IMAGES, labels) == pairs.mean()
    assert fitted.score(IMAGES, -labels) == pytest.approx(1 - pairs.mean())
    assert fitted.score([*IMAGES], labels.astype(float).tolist()) == pairs.mean()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "Expected labels `y`, .1 of normal images and -1 of anomalous ones."),
        (np.ones(40, int), "with both there, got 1 only"),
        (-np.ones(40), "with both there, got -1.0 only"),
        (np.repeat([1, -1], 10), "got 20 for 40 images"),
    ],
)
def test_labels_that_no_score_can_be_of_are_refused(fitted, labels, message):
    with pytest.raises(InputError, match=message):
        fitted.score(IMAGES, labels)


@pytest.mark.parametrize(
    "labels", [np.arange(40) % 2, np.arange(40) % 2 == 0, np.arange(40) % 3, ["a"] * 40]
)
def test_labels_of_something_else_give_no_number_and_a_warning(fitted, labels):
    with pytest.warns(UndefinedMetricWarning, match="anomalous ones, got .* is NaN"):
        assert np.isnan(fitted.score(IMAGES, labels))


def test_scikit_learn_s_tools_score_by_labels():
    images = IMAGES.copy()
    images[1::2] //= 4  # Darker: another kind, that half of training has too.
    labels = np.tile([1, -1], 20)
    areas = cross_val_score(detector(), images, labels, cv=2)
    one = detector().fit(images[20:])
    assert areas[0] == one.score(images[:20], labels[:20]) and len(areas) == 2
    search = GridSearchCV(detector(), {"hyper__latent": [2, 3]}, cv=2)
    best = search.fit(images, labels).best_score_
    assert best >= areas.mean()
    assert search.score(images, labels) == search.best_estimator_.score(images, labels)


def attributes(one):
    """What `fit` has set."""
    names = [name for name in vars(one) if name.endswith("_")]
    return {name: getattr(one, name) for name in names}


TABLE = pyarrow.table({f"c{i}": IMAGES[:, 0, i, 0] / 255 for i in range(16)})
FITS = {
    "images": (IMAGES, {}),
    "images in a range": (IMAGES / 255, {"value_range": (0, 1)}),
    "a range that trained": (IMAGES / 255, {"value_range": "training"}),
    "rows": (IMAGES.reshape(40, -1), {"image_shape": (32, 32)}),
    "a table": (TABLE, {"value_range": (0.0, 1.0)}),
    "a Config": (IMAGES, {"hyper": methods.METHODS["autoencoder"][0](3, 2)}),
    "defaults of the method": (IMAGES[:20], {"hyper": None}),
    "a list": ([*IMAGES[:20, :9, ..., 0], *IMAGES[20:]], {}),
}


@pytest.mark.parametrize("what", FITS)
def test_all_that_fit_sets_is_saved(what, tmp_path):
    images, options = FITS[what]
    one = detector(**options).fit(images)
    again = Detector.load(one.save(tmp_path / "detector.ocjax"))
    before, after = attributes(one), attributes(again)
    assert before.keys() == after.keys() and "shape_" in before
    equal = jax.tree.map(lambda a, b: np.array_equal(a, b), before, after)
    assert jax.tree.all(equal), equal
    assert {k: type(v) for k, v in before.items()} == {
        k: type(v) for k, v in after.items()
    }
    expected = one.get_params()
    if what == "a Config":
        expected["hyper"] = dataclasses.asdict(expected["hyper"])
    assert again.get_params() == expected
    np.testing.assert_array_equal(again.predict(images), one.predict(images))


def test_a_loaded_detector_knows_the_order_of_columns(tmp_path):
    one = detector(value_range=(0, 1)).fit(TABLE)
    again = Detector.load(one.save(tmp_path / "detector.ocjax"))
    for found in (one, again, copy(again).fit(TABLE)):
        with pytest.raises(ValueError, match="must be in the same order"):
            found.predict(TABLE.select(TABLE.column_names[::-1]))
        with pytest.raises(ValueError, match="seen at fit time, yet now missing"):
            found.predict(TABLE.drop_columns("c3"))
        with pytest.warns(UserWarning, match="not have valid feature names"):
            found.predict(np.zeros((1, 16)))


def test_a_saved_detector_is_the_same(fitted, tmp_path):
    path = fitted.save(tmp_path / "detector.ocjax")
    again = Detector.load(path)
    assert again.card_ == fitted.card_ and again.get_params() == fitted.get_params()
    np.testing.assert_array_equal(
        again.score_samples(IMAGES), fitted.score_samples(IMAGES)
    )
    again = pickle.loads(pickle.dumps(fitted))  # scikit-learn's users do.
    np.testing.assert_array_equal(again.predict(IMAGES), fitted.predict(IMAGES))


def test_nothing_is_pickled(fitted, tmp_path, monkeypatch):
    refuse = lambda *_, **__: pytest.fail("pickled")
    monkeypatch.setattr(pickle, "dumps", refuse)
    monkeypatch.setattr(pickle, "dump", refuse)
    fitted.save(tmp_path / "detector.ocjax")
    with zipfile.ZipFile(tmp_path / "detector.ocjax") as file:
        names = file.namelist()
        assert names == ["card.json", "parameters.json", "state.npz"]
        np.load(file.open("state.npz"), allow_pickle=False)
        assert json.loads(file.read("card.json"))["kind"] == "detector"


def rewritten(path, **changes):
    """The file with other members."""
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w") as file:
        for name, content in (members | changes).items():
            if content is not None:
                file.writestr(name, content)


def test_damaged_files_cost_one_line(fitted, tmp_path):
    path = tmp_path / "detector.ocjax"
    whole = fitted.save(path).read_bytes()
    damage = {
        "is no model file": lambda: path.write_text("text"),
        "is damaged|is no model": lambda: path.write_bytes(whole[: len(whole) // 2]),
        "has no card": lambda: rewritten(path, **{"card.json": None}),
        "other networks": lambda: rewritten(
            path, **{"state.npz": Detector.save.__code__.co_code}
        ),
        "format 99": lambda: rewritten(path, **{"card.json": b'{"format": 99}'}),
        "damaged card": lambda: rewritten(path, **{"card.json": b'{"format": 1}'}),
    }
    for message, do in damage.items():
        path.write_bytes(whole)
        do()
        message = "is damaged" if message == "other networks" else message
        with pytest.raises(InputError, match=message) as caught:
            Detector.load(path)
        assert "\n" not in str(caught.value)


DAMAGE = {
    "no shape": ("fitted", {"shape_": None}),
    "a long shape": ("fitted", {"shape_": [1, 2, 3, 4]}),
    "a shape of text": ("fitted", {"shape_": ["a"]}),
    "half a range": ("fitted", {"range_": [1]}),
    "a range of text": ("fitted", {"range_": ["a", "b"]}),
    "an unknown attribute": ("fitted", {"params_": 3}),
    "an unknown parameter": ("parameters", {"foo": 3}),
    "epochs of text": ("parameters", {"epochs": "3"}),
    "a range that falls": ("parameters", {"value_range": [1, 0]}),
    "a list of fields": ("parameters", {"hyper": [3]}),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damaged_parameters_cost_one_line(fitted, what, tmp_path):
    path = fitted.save(tmp_path / "detector.ocjax")
    with zipfile.ZipFile(path) as file:
        values = json.loads(file.read("parameters.json"))
    part, changes = DAMAGE[what]
    values[part] |= changes
    rewritten(path, **{"parameters.json": json.dumps(values).encode()})
    with pytest.raises(InputError, match="is damaged, or of another") as caught:
        Detector.load(path)
    assert "\n" not in str(caught.value)


def test_a_card_without_a_threshold_is_damaged(fitted, tmp_path):
    path = fitted.save(tmp_path / "detector.ocjax")
    with zipfile.ZipFile(path) as file:
        card = json.loads(file.read("card.json")) | {"threshold": None}
    rewritten(path, **{"card.json": json.dumps(card).encode()})
    with pytest.raises(InputError, match="no threshold"):
        Detector.load(path)


def test_wrong_paths_cost_one_line(fitted, tmp_path, monkeypatch):
    for use in (fitted.save, Detector.load):
        for path, message in {
            "gs://bucket/d.ocjax": "on a local disk",
            "s3://bucket/d.ocjax": "on a local disk",
            "a\0b": "without a zero byte",
            tmp_path: "folder",
        }.items():
            with pytest.raises(InputError, match=message):
                use(path)
    with pytest.raises(InputError, match="There is no file .*none.ocjax"):
        Detector.load(tmp_path / "none.ocjax")
    monkeypatch.setenv("HOME", str(tmp_path))
    path = fitted.save("~/new/detector.ocjax")
    assert path == tmp_path / "new" / "detector.ocjax" and path.is_file()
    assert fitted.save(path) == path  # Again.
    assert Detector.load("~/new/detector.ocjax").card_ == fitted.card_


def test_preparing_images_holds_them_once_more_and_no_more():
    images = np.zeros((512, 64, 64, 3), np.uint8)
    images[::2] = 200
    one = detector(image_size=64)
    tracemalloc.start()
    prepared, count = one._training_images(images)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 512 and np.array_equal(prepared, images)
    assert peak < 1.2 * images.nbytes
    large = np.full((64, 256, 256, 3), 200, np.uint8)
    one.image_size = 32
    tracemalloc.start()
    one._training_images([large[0, :200], *large[1:]])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.3 * large.nbytes


def test_no_warning_with_enough_images():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        detector().fit(IMAGES)
