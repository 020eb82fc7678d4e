"""Pictures that are not square, from training to the heatmap over them."""

import json

import numpy as np
import pytest
from calls import call
from PIL import Image

from ocjax import Detector, data, inference
from ocjax.data import files, fitting
from ocjax.inference import Verdict

SIDES = {"portrait": (60, 34), "landscape": (34, 60)}
DEFECT = slice(20, 26), slice(14, 20)  # In the middle square of both.


def folder(root, sides, count=24):
    """Good pictures, one that has a bright square, and their paths."""
    rng = np.random.default_rng(0)
    for i in range(count):
        root.joinpath("good").mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(90, 110, sides, np.uint8)
        Image.fromarray(pixels).save(root / "good" / f"{i}.png")
    return sorted((root / "good").iterdir())


def spoiled(path, sides, defect):
    pixels = np.full(sides, 100, np.uint8)
    pixels[defect] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return str(path)


def hottest(heatmap):
    return np.unravel_index(np.argmax(heatmap), heatmap.shape)


def inside(place, defect):
    return all(
        part.start <= x < part.stop for x, part in zip(place, defect, strict=True)
    )


@pytest.mark.parametrize("shape", SIDES)
@pytest.mark.parametrize("fit", fitting.FITS)
def test_a_model_sees_and_shows_pictures_as_it_was_trained(tmp_path, fit, shape):
    sides = SIDES[shape]
    defect = DEFECT if shape == "landscape" else DEFECT[::-1]
    folder(tmp_path / "pictures", sides)
    bad = spoiled(tmp_path / "new" / "bad.png", sides, defect)
    run, exported = tmp_path / "run", tmp_path / "model.ocjax"
    options = ["--method=pca", f"--fit={fit}", "--false_positive_rate=0.3"]
    assert call("train", tmp_path / "pictures", *options, f"--workdir={run}") == 0
    assert json.loads((run / "run.json").read_text())["config"]["fit"] == fit
    page = (run / "report.html").read_text()
    assert ("Pictures keep their aspect" in page) == (fit != "stretch")
    assert call("export", run, f"--out={exported}") == 0
    image = files.read(bad, (32, 32, 1), fit)[None]
    scores = []
    for model in (run, exported):
        scorer = inference.open(model)
        assert scorer.card.fit == fit
        ((_, verdict),) = scorer.judge_files([bad])
        assert isinstance(verdict, Verdict)
        scores.append(verdict.score)
        judged = scorer.judge(image, explain=True)
        assert verdict.score == judged.scores[0] and judged.heatmaps is not None
        heatmap = data.unfitted(judged.heatmaps[0], sides, fit)
        assert heatmap.shape == sides and inside(hottest(heatmap), defect)
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-4)
    maps = tmp_path / "maps"
    out = f"--out={tmp_path / 'scores.csv'}"
    assert call("score", bad, f"--model={run}", f"--heatmaps={maps}", out) == 0
    with Image.open(maps / "bad.png") as drawn:
        pixels = np.asarray(drawn.convert("RGB")).astype(int)
    colour = np.ptp(pixels, axis=-1)
    assert colour.shape == sides and inside(hottest(colour), defect)
    if fit == "cut":  # Beside what was seen the picture stays grey.
        edge = colour[:, [0, -1]] if shape == "landscape" else colour[[0, -1]]
        assert not edge.any()


@pytest.mark.parametrize("fit", fitting.FITS)
def test_a_saved_detector_fits_files_and_arrays_as_the_one_that_was_fitted(
    tmp_path, fit
):
    sides = SIDES["portrait"]
    good = folder(tmp_path, sides)
    bad = spoiled(tmp_path / "bad.png", sides, DEFECT)
    detector = Detector("pca", image_fit=fit, image_size=32, random_state=0)
    detector.set_params(false_positive_rate=0.3).fit(good)
    expected = detector.anomaly_score([bad])
    saved = detector.save(tmp_path / "detector.ocjax")
    again = Detector.load(saved)
    assert again.image_fit == fit
    np.testing.assert_array_equal(again.anomaly_score([bad]), expected)
    with Image.open(bad) as picture:
        array = np.asarray(picture)
        np.testing.assert_array_equal(again.anomaly_score([picture]), expected)
    np.testing.assert_array_equal(again.anomaly_score([array]), expected)
    ((_, verdict),) = inference.open(saved).judge_files([bad])
    assert isinstance(verdict, Verdict) and verdict.score == expected[0]
    rest = {"stretch", "pad", "cut"} - {fit}
    others = [files.read(bad, (32, 32, 1), other)[None] for other in rest]
    assert all(detector.scorer.score(x)[0] != expected[0] for x in others)
