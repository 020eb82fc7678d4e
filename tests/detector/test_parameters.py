"""Parameters are checked before anything is read or trained, in their own names."""

import numpy as np
import pytest
from collected import each
from sklearn.base import clone
from tiny_detector import IMAGES, detector

from ocjax import Detector, methods
from ocjax._checks import InputError
from ocjax.detector.parameters import detector_names
from ocjax.runs.bounds import SEED

NAN, WHOLE = float("nan"), "must be a whole number of at least"

BAD = [
    ("epochs", 1.5, f"(=1.5) {WHOLE} 0"),
    ("epochs", -1, f"(=-1) {WHOLE} 0"),
    ("epochs", True, f"(=True) {WHOLE} 0"),
    ("epochs", NAN, f"(=nan) {WHOLE} 0"),
    ("batch_size", "64", f"(='64') {WHOLE} 1"),
    ("batch_size", 2.5, WHOLE),
    ("batch_size", np.zeros((9, 9)), WHOLE),
    ("image_size", 32.0, f"(=32.0) {WHOLE} 0"),
    ("image_size", -1, f"(=-1) {WHOLE} 0"),
    ("image_size", 48, "(=48) must be 32, 64, 128"),
    ("tile", -1, f"(=-1) {WHOLE} 0"),
    ("tile", 48, "(=48) must be 32, 64, 128"),
    ("tile", 64, "(=64) must not exceed `image_size` (=32)"),
    ("validation_fraction", 0, "between 0 and 1"),
    ("validation_fraction", 1, "between 0 and 1"),
    ("validation_fraction", NAN, "between 0 and 1"),
    ("validation_fraction", "0.1", "between 0 and 1"),
    ("validation_fraction", None, "between 0 and 1"),
    ("false_positive_rate", 1.5, "between 0 and 1"),
    ("false_positive_rate", True, "between 0 and 1"),
    ("contamination", 0.7, "'auto' or in (0, 0.5]"),
    ("contamination", NAN, "'auto' or in (0, 0.5]"),
    ("contamination", None, "'auto' or in (0, 0.5]"),
    ("value_range", (1, 0), "two finite numbers that rise"),
    ("value_range", (0, np.inf), "two finite numbers that rise"),
    ("value_range", 255, "two finite numbers that rise"),
    ("value_range", "train", "two finite numbers that rise"),
    ("image_shape", (32,), "must be (H, W), or (H, W, C)"),
    ("image_shape", (32, 32, 2), "with C 1 or 3"),
    ("image_shape", (32.0, 32), "must be (H, W), or (H, W, C)"),
    ("image_shape", "32", "must be (H, W), or (H, W, C)"),
    ("random_state", -1, "a whole number from 0 to"),
    ("random_state", SEED.most + 1, "a whole number from 0 to"),
    ("random_state", 1.5, "a whole number from 0 to"),
    ("augment", None, "must be a string"),
    ("augment", "crop flop", "did you mean 'flip'"),
    ("method", 3, "must be a string"),
    ("hyper", np.zeros((9, 9)), "must be a mapping"),
    ("method", "autoencodr", "did you mean 'autoencoder'"),
    ("hyper__latent", 2.5, f"(=2.5) {WHOLE} 1"),
    ("hyper__latent", 0, f"(=0) {WHOLE} 1"),
    ("hyper__learning_rate", "fast", "must be a finite number"),
    ("hyper__learning_rate", NAN, "must be a finite number"),
    ("hyper__loss", 2, "must be a string"),
    (
        "hyper__loss",
        "l2",
        "hyper__loss 'l2': expected one of squared_error, l1",
    ),
    ("hyper__latnt", 2, "did you mean 'hyper__latent'"),
]


@each("name, value, message", BAD)
def test_a_wrong_value_is_told_before_the_images_are_looked_at(name, value, message):
    one = detector().set_params(**{name: value})
    with pytest.raises(InputError) as caught:
        one.fit(IMAGES / 255)  # Of a range that is not stated.
    text = str(caught.value)
    assert message in text and "\n" not in text and len(text) < 800
    assert name in text or message.startswith("did you mean")
    for other in ("config", "hyper.", "--"):
        assert other not in text


def test_a_switch_of_a_method_is_true_or_false():
    with pytest.raises(InputError, match="`hyper__dual` .=1. must be True or False"):
        Detector("lrgdan", hyper__dual=1).fit(IMAGES)


def test_numbers_of_numpy_are_numbers():
    one = detector(epochs=np.int64(1), validation_fraction=np.float32(0.25))
    one.set_params(batch_size=np.int32(8), random_state=SEED.most)
    expected = detector(random_state=SEED.most).fit(IMAGES).anomaly_score(IMAGES)
    assert (expected != detector().fit(IMAGES).anomaly_score(IMAGES)).any()
    np.testing.assert_array_equal(one.fit(IMAGES).anomaly_score(IMAGES), expected)


def test_a_name_that_is_none_is_told_at_once():
    with pytest.raises(InputError, match="parameter of Detector 'foo'"):
        Detector(foo=1)
    with pytest.raises(InputError, match="did you mean 'epochs'"):
        Detector(epoch=1)
    one = Detector("autoencoder")
    with pytest.raises(InputError, match="did you mean 'batch_size'"):
        one.set_params(batchsize=1, epochs=7)
    assert one.epochs == 0
    assert clone(Detector(hyper__latent=5)).hyper == {"latent": 5}  # pyright: ignore


def test_messages_of_runs_are_in_the_names_of_parameters():
    with pytest.raises(InputError) as caught, detector_names():
        raise InputError("`config.hyper.rho` and hyper.zrec: raise config.image_size.")
    expected = "`hyper__rho` and hyper__zrec: raise image_size."
    assert str(caught.value) == expected


@pytest.mark.parametrize("method", methods.METHODS)
def test_the_defaults_of_every_method_pass(method, monkeypatch):
    def stop(*_, **__):
        raise StopIteration

    monkeypatch.setattr("ocjax.training.fit", stop)
    with pytest.raises(StopIteration):
        Detector(method).fit(IMAGES)
