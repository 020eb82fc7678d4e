"""What the estimator takes as images: arrays of one shape, rows, lists of pictures."""

import pathlib
import warnings

import numpy as np
import pytest
from PIL import Image
from tiny_detector import IMAGES, detector

from ocjax import Detector, inference
from ocjax._checks import InputError
from ocjax.data import files
from ocjax.inference import Verdict

RNG = np.random.default_rng(1)
USES = ("predict", "judge", "score_samples", "decision_function", "anomaly_score")


def grey(height, width):
    return RNG.integers(0, 256, (height, width), np.uint8)


SIZES = [(30 + i, 41 - i) for i in range(20)]
PICTURES = [grey(*size) for size in SIZES]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The pictures as files."""
    root = tmp_path_factory.mktemp("pictures")
    for i, pixels in enumerate(PICTURES):
        Image.fromarray(pixels).save(root / f"{i:02}.png")
    return root


@pytest.fixture(scope="module")
def of_pictures():
    return detector().fit(PICTURES)


@pytest.fixture(scope="module")
def squares():
    """Of 20 images as wide as there may be of them: one picture looks like eight."""
    return {
        shape: detector(image_shape=(8, 8) if len(shape) == 1 else None).fit(
            RNG.integers(0, 256, (20, *shape), np.uint8)
        )
        for shape in ((8, 8), (8, 8, 1), (8, 8, 3), (3, 3, 3), (64,))
    }


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (8, 8, 3), (3, 3, 3), (64,)])
def test_one_image_of_the_shape_of_training_is_told_to_be_one(squares, shape, use):
    one = np.zeros(shape, np.uint8)
    for shown in (one, one.tolist()):
        with pytest.raises(ValueError, match=r"pass X\[None\]") as caught:
            getattr(squares[shape], use)(shown)
        assert "\n" not in str(caught.value)
    assert squares[shape].predict(one[None]).shape == (1,)


@pytest.mark.parametrize(
    ("fitted", "shown", "remedy"),
    [
        ((8, 8, 1), (8, 8), "one image: pass X[None, ..., None]"),
        ((8, 8, 1), (5, 8, 8), "pass X[..., None]"),
        ((8, 8), (8, 8, 1), "one image: pass X[None, ..., 0]"),
        ((8, 8), (5, 8, 8, 1), "pass X[..., 0]"),
        ((8, 8, 3), (5, 3, 8, 8), "pass X.transpose(0, 2, 3, 1)"),
        ((8, 8), (5, 64), "pass X.reshape(-1, 8, 8)"),
        ((64,), (5, 8, 8), "pass X.reshape(len(X), -1)"),
        ((8, 8), (5, 9, 8), "resize them to 8x8"),
        ((8, 8, 3), (5, 8, 9, 3), "resize them to 8x8"),
        ((8, 8, 3), (5, 8, 8, 4), "as in `fit`, got [5, 8, 8, 4]"),
        ((8, 8), (8,), "as in `fit`, got [8]"),
    ],
)
def test_another_shape_is_told_with_what_to_do(squares, fitted, shown, remedy):
    for images in (np.zeros(shown, np.uint8), np.zeros(shown, np.uint8).tolist()):
        with pytest.raises(ValueError) as caught:
            squares[fitted].predict(images)
        assert remedy in str(caught.value) and "\n" not in str(caught.value)


def test_as_many_images_as_they_are_wide_are_images(squares):
    assert squares[8, 8].predict(np.zeros((8, 8, 8), np.uint8)).shape == (8,)


def test_pictures_in_every_form_score_as_their_files_do(of_pictures, folder):
    paths = files.below(folder)
    expected = of_pictures.anomaly_score(PICTURES)
    read = np.stack([files.read(path, (32, 32, 1)) for path in paths])
    np.testing.assert_array_equal(of_pictures.scorer.score(read), expected)
    forms = {
        "paths": paths,
        "names": [str(path) for path in paths],
        "an array of names": np.array([str(path) for path in paths]),
        "a tuple": tuple(PICTURES),
        "Pillow's": [Image.fromarray(pixels) for pixels in PICTURES],
        "with a channel": [pixels[..., None] for pixels in PICTURES],
        "objects": np.array([*PICTURES, None], object)[:-1],
        "a mixture": [paths[0], Image.fromarray(PICTURES[1]), *PICTURES[2:]],
    }
    for form, pictures in forms.items():
        found = of_pictures.anomaly_score(pictures)
        np.testing.assert_array_equal(found, expected, err_msg=form)
        again = detector().fit(pictures)
        np.testing.assert_array_equal(again.anomaly_score(paths), expected)
    np.testing.assert_array_equal(of_pictures.judge(paths).scores, expected)
    one = of_pictures.predict([PICTURES[3]])
    assert one.shape == (1,) and one == of_pictures.predict(paths)[3]


def test_numbers_of_a_stated_range_are_pictures_too(of_pictures):
    floats = [pixels / 255 for pixels in PICTURES]
    for options in ({"value_range": (0, 1)}, {"value_range": "training"}):
        one = detector(**options).fit(floats)
        assert one.predict(floats).shape == (20,)
    one = detector(value_range=(0, 1)).fit(floats)
    # Not to the bit: uint8 are rounded when they are resized.
    np.testing.assert_allclose(
        one.anomaly_score(floats), of_pictures.anomaly_score(PICTURES), rtol=0.05
    )
    with pytest.raises(ValueError, match="state their `value_range`"):
        detector().fit(floats)
    with pytest.raises(InputError, match="got a list of both"):
        one.predict([floats[0], PICTURES[1]])
    one = detector(value_range="training").fit(floats)
    with pytest.raises(InputError, match="Expected arrays of numbers as in `fit`"):
        one.predict(PICTURES)


def test_pictures_are_in_colour_unless_all_that_train_are_grey(of_pictures, tmp_path):
    colour = RNG.integers(0, 256, (33, 30, 3), np.uint8)
    mixed = detector().fit([*PICTURES, colour])
    assert of_pictures.card_.channels == 1 and mixed.card_.channels == 3
    assert of_pictures.shape_ == (None, None, 1) and mixed.shape_ == (None, None, 3)
    path = tmp_path / "colour.png"
    Image.fromarray(colour).save(path)
    for one in (of_pictures, mixed):
        scores = one.anomaly_score([path, Image.fromarray(colour), colour])
        assert scores[0] == scores[1] == scores[2]
        in_grey = np.asarray(Image.open(path).convert("L"))
        grey_score = one.anomaly_score([in_grey])[0]
        assert (scores[0] == grey_score) == (one is of_pictures)
    floats = detector(value_range=(0, 1)).fit([x / 255 for x in PICTURES])
    np.testing.assert_allclose(
        floats.anomaly_score([colour / 255, PICTURES[0] / 255])[0],
        floats.anomaly_score([in_grey / 255, PICTURES[0] / 255])[0],
        rtol=0.01,
    )


def test_pillow_s_images_are_turned_and_lie_on_black_as_files_do(of_pictures, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # Turned by 90 degrees.
    picture = Image.fromarray(RNG.integers(0, 256, (30, 44, 4), np.uint8))
    wide = np.round(np.linspace(0, 65535, 44 * 30)).astype(np.uint16).reshape(30, 44)
    kinds = {
        "turned.png": (picture.convert("L"), {"exif": exif}),
        "transparent.png": (picture, {}),
        "palette.png": (picture.convert("RGB").convert("P"), {}),
        "grey_alpha.png": (picture.convert("LA"), {}),
        "bits.png": (picture.convert("1"), {}),
        "deep.png": (Image.fromarray(wide), {}),
        "print.tiff": (picture.convert("RGB").convert("CMYK"), {}),
    }
    for name, (image, options) in kinds.items():
        image.save(tmp_path / name, **options)
        with Image.open(tmp_path / name) as opened:
            scores = of_pictures.anomaly_score([tmp_path / name, opened, opened])
        assert scores[0] == scores[1] == scores[2], name


def test_files_that_cannot_be_read_are_named_in_one_line(of_pictures, folder, tmp_path):
    (tmp_path / "text.png").write_text("text")
    (tmp_path / "cut.png").write_bytes((folder / "00.png").read_bytes()[:200])
    bad = ["text.png", "cut.png", "none.png"]
    paths = [*files.below(folder), *(tmp_path / name for name in bad), "gs://a/b.png"]
    for use in (detector().fit, of_pictures.predict):
        with pytest.raises(InputError, match="^4 of 24 files cannot be read") as caught:
            use(paths)
        text = str(caught.value)
        assert all(name in text for name in bad) and "\n" not in text
        assert "Expected X[23] on a local disk" in text


@pytest.mark.parametrize(
    ("shown", "message"),
    [
        ("pictures", r"pass \['pictures'\]"),
        (pathlib.Path("a.png"), r"pass \['a.png'\]"),
        (Image.new("L", (8, 8)), r"pass \[X\]"),
        (iter(PICTURES), r"pass list\(X\)"),
        (pathlib.Path(".").glob("*"), r"pass list\(X\)"),
        (grey(32, 32), r"one picture is passed as \[X\]"),
        (grey(32, 96).reshape(32, 32, 3), r"one picture is passed as \[X\]"),
        ([grey(3, 4), None], "got a NoneType as X.1."),
        ([grey(3, 4), grey(1, 5)[0]], r"got \[5\] as X\[1\]"),
        ([PICTURES[0], np.zeros((4, 5, 4), np.uint8)], r"got \[4, 5, 4\] as X\[1\]"),
        ([PICTURES[0], np.zeros((0, 5), np.uint8)], r"got \[0, 5\] as X\[1\]"),
        ([[[1, 2], [3]], [[1]]], "lists that differ in length"),
        ([], "an empty list"),
        ({}, "got one dict"),
    ],
)
def test_what_is_no_list_of_pictures_is_told_in_one_line(of_pictures, shown, message):
    with pytest.raises(ValueError, match=message) as caught:
        of_pictures.predict(shown)
    assert "\n" not in str(caught.value)


def test_arrays_of_any_size_are_pictures_where_a_list_trained(of_pictures):
    images = IMAGES[:5, :20]
    for shown in (images, images[..., 0], [*images]):
        np.testing.assert_array_equal(
            of_pictures.anomaly_score(shown),
            of_pictures.anomaly_score([*images, PICTURES[0]])[:-1],
        )


def test_pictures_are_for_a_detector_of_images_and_not_of_a_table(folder):
    paths = files.below(folder)
    one = detector().fit(IMAGES)
    assert one.predict(paths).shape == (20,)
    one = detector(image_shape=(32, 32)).fit(IMAGES.reshape(40, -1))
    assert one.predict(paths).shape == (20,)
    with pytest.raises(InputError, match="Expected rows of numbers"):
        detector().fit(IMAGES.reshape(40, -1)).predict(paths)
    with pytest.raises(InputError, match="Expected 2 pictures or more, got 1"):
        detector().fit(paths[:1])


def test_a_fit_on_pictures_forgets_the_table_of_before(folder):
    one = detector().fit(IMAGES.reshape(40, -1))
    one.fit(files.below(folder))
    assert not hasattr(one, "n_features_in_")
    assert one.predict(files.below(folder)).shape == (20,)


def test_a_saved_detector_of_pictures_judges_files(of_pictures, folder, tmp_path):
    path = of_pictures.save(tmp_path / "detector.ocjax")
    names = [str(path) for path in files.below(folder)]
    expected = of_pictures.anomaly_score(names)
    loaded = Detector.load(path)
    assert loaded.shape_ == (None, None, 1)
    np.testing.assert_array_equal(loaded.anomaly_score(PICTURES), expected)
    verdicts = [verdict for _, verdict in inference.open(path).judge_files(names)]
    scores = [verdict.score for verdict in verdicts if isinstance(verdict, Verdict)]
    assert scores == expected.tolist()


def warned(X, **options):
    """What `fit` warns of, before it trains."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        detector(**options).fit(X)
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize(
    "images",
    [
        np.full((20, 32, 32), 90, np.uint8),
        np.repeat(IMAGES[:1], 20, 0),
        [IMAGES[0, ..., 0]] * 20,
        [Image.fromarray(PICTURES[0])] * 20,
    ],
    ids=["one shade", "one image", "a list of one", "one of Pillow's"],
)
def test_training_images_that_are_all_alike_warn(images):
    (text,) = warned(images)
    assert text.startswith("All 20 training images are alike")


def test_numbers_that_are_all_alike_warn():
    row = np.linspace(0, 1, 16)
    for options in ({"value_range": (0, 1)}, {"value_range": "training"}):
        (text,) = warned(np.tile(row, (20, 1)), **options)
        assert text.startswith("All 20 training images are alike")


DIGITS = (RNG.random((20, 8, 8)) * 17).astype(np.uint8)


@pytest.mark.parametrize(
    ("images", "options", "remedy"),
    [
        (DIGITS, {}, "value_range=(0, 16)"),
        (DIGITS, {"value_range": "training"}, "value_range=(0, 16)"),
        (DIGITS.astype(int), {"value_range": (0, 255)}, "value_range=(0, 16)"),
        (DIGITS / 16, {"value_range": (0, 255)}, "value_range=(0, 1)"),
        (DIGITS / 255, {"value_range": (0, 1)}, "value_range=(0, 0.0627451)"),
        (
            [Image.fromarray(x).resize((9, 9), 0) for x in DIGITS],
            {},
            "are nearly black",
        ),
    ],
)
def test_images_that_reach_a_small_part_of_their_range_warn(images, options, remedy):
    (text,) = warned(images, **options)
    assert text.startswith("The training images are nearly black") and remedy in text


def test_a_range_is_of_numbers_of_every_kind():
    expected = detector(value_range=(0, 16)).fit(DIGITS / 1.0).anomaly_score(DIGITS / 1)
    for kind in (np.uint8, np.int64, np.float32, np.uint16):
        images = DIGITS.astype(kind)
        assert warned(images, value_range=(0, 16)) == []
        one = detector(value_range=(0, 16)).fit(images)
        np.testing.assert_array_equal(one.anomaly_score(images), expected)
        np.testing.assert_array_equal(one.anomaly_score(list(images)), expected)
    with pytest.raises(ValueError, match=r"in \[0, 16\], as `value_range` says, got"):
        one.predict(IMAGES[:, :8, :8, 0])
    expected = detector().fit(IMAGES).anomaly_score(IMAGES)
    one = detector(value_range=(0, 255)).fit(IMAGES.astype(int))
    np.testing.assert_allclose(one.anomaly_score(IMAGES), expected, rtol=1e-4)


def test_scores_that_are_all_alike_warn(monkeypatch):
    same = lambda method, state, images, **_: np.full(len(images), 2.5, np.float32)
    monkeypatch.setattr("ocjax.evaluation.score", same)
    (text,) = warned(IMAGES)
    assert text.startswith("All 10 held-out images score 2.5")
