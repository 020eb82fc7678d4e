"""Runs of methods on frozen networks, from a folder of pictures to a verdict."""

import pathlib
import shutil
from typing import Any

import numpy as np
import pytest
import tiny_backbone
from PIL import Image

import ocjax
from ocjax import inference, runs
from ocjax._checks import InputError
from ocjax.inference import Verdict, opening, stablehlo
from ocjax.runs.build import build_method
from ocjax.runs.config import parse
from ocjax.runs.folder import RunFolder

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder as MVTec AD has it; a defect is a white square."""
    root = tmp_path_factory.mktemp("pictures")
    for kind, count in (("train/good", 12), ("test/good", 4), ("test/spot", 4)):
        for number in range(count):
            pixels = RNG.integers(90, 160, (48, 40), np.uint8)
            if kind == "test/spot":
                pixels[10:30, 10:30] = 255
                write(root / "ground_truth" / "spot" / f"{number}_mask.png", pixels)
            write(root / kind / f"{number}.png", pixels)
    return root


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    if "ground_truth" in path.parts:
        pixels = 255 * (pixels == 255).astype(np.uint8)
    Image.fromarray(pixels).save(path)


def configured(weights=tiny_backbone.WEIGHTS, **changes):
    hyper = tiny_backbone.OPTIONS | {"weights": weights, "dimensions": 20}
    changes = {"method": "padim", "hyper": hyper} | changes
    return runs.configure(
        dataset="folder",
        protocol="folder",
        normal_class="good",
        report=False,
        false_positive_rate=0.4,
        **changes,
    ).to_dict()


@pytest.fixture(scope="module")
def trained(pictures, tmp_path_factory):
    """A run folder, and the weights that it trained with."""
    root = tmp_path_factory.mktemp("runs")
    weights = root / "w.npz"
    shutil.copy(tiny_backbone.WEIGHTS, weights)
    values = configured(str(weights))
    runs.launch(values, seed=0, workdir=str(root / "run"), data_dir=str(pictures))
    return root / "run", weights


def scores(model, pictures):
    paths = sorted(str(path) for path in (pictures / "test").rglob("*.png"))
    verdicts = [verdict for _, verdict in inference.open(model).judge_files(paths)]
    return [verdict.score for verdict in verdicts if isinstance(verdict, Verdict)]


def test_a_folder_of_pictures_gets_a_detector_that_finds_the_defects(trained, pictures):
    folder, _ = trained
    summary = RunFolder(folder).result()
    assert summary is not None and summary.auroc == 1.0
    assert summary.localization is not None
    known = RunFolder(folder).read_object("run.json")
    assert known["config"]["image_size"] == tiny_backbone.SIZE
    assert known["weights"].startswith("tiny ")
    good, spot = np.split(np.array(scores(folder, pictures)), 2)
    assert good.max() < spot.min()


def test_exported_files_give_the_scores_of_the_run(trained, pictures, tmp_path):
    folder, _ = trained
    parts = opening.parts(folder)
    assert parts[0].weights.startswith("tiny ")
    file = stablehlo.save(tmp_path / "m.ocjax", *parts)
    expected = scores(folder, pictures)
    np.testing.assert_allclose(scores(file, pictures), expected, rtol=1e-4)


def test_other_weights_or_none_are_refused_in_one_line(trained, pictures, tmp_path):
    folder, weights = trained
    kept = weights.read_bytes()
    with np.load(weights) as tensors:
        other: Any = {name: tensors[name] + np.float32(1) for name in tensors.files}
    values = configured(str(weights))
    try:
        np.savez(weights, **other)
        build_method.cache_clear()  # As another process, which has no method yet.
        with pytest.raises(InputError, match="trained with the frozen weights tiny"):
            inference.open(folder)
        with pytest.raises(InputError, match="weights"):  # Resumed with others.
            runs.launch(values, seed=0, workdir=folder, data_dir=str(pictures))
        weights.unlink()
        build_method.cache_clear()
        with pytest.raises(InputError, match="There is no file") as error:
            inference.open(folder)
        assert "\n" not in str(error.value)
    finally:
        weights.write_bytes(kept)


def test_a_saved_detector_has_no_weights_and_comes_back(pictures, tmp_path):
    weights = tmp_path / "w.npz"
    shutil.copy(tiny_backbone.WEIGHTS, weights)
    hyper = tiny_backbone.OPTIONS | {"weights": str(weights), "dimensions": 20}
    detector = ocjax.Detector("padim", hyper=hyper, false_positive_rate=0.4)
    paths = sorted(str(path) for path in (pictures / "train").rglob("*.png"))
    tests = sorted(str(path) for path in (pictures / "test").rglob("*.png"))
    detector.fit(paths)
    expected = detector.anomaly_score(tests)
    file = pathlib.Path(detector.save(tmp_path / "detector.ocjax"))
    assert file.stat().st_size < weights.stat().st_size
    loaded = ocjax.Detector.load(file)
    np.testing.assert_array_equal(loaded.anomaly_score(tests), expected)
    assert loaded.card_.size == tiny_backbone.SIZE
    weights.unlink()
    build_method.cache_clear()
    with pytest.raises(InputError, match="cannot be opened: There is no file"):
        inference.open(file)


def test_sizes_left_open_are_the_networks_for_pictures_and_32_for_small_ones():
    parsed = lambda **changes: parse(configured(**changes)).config
    assert parsed().image_size == tiny_backbone.SIZE
    sized = tiny_backbone.OPTIONS | {"size": 48}
    assert parsed(hyper=sized).image_size == 48
    assert parsed(hyper=sized, image_size=64).image_size == 64
    digits = runs.configure(method="padim", dataset="digits", hyper=sized).to_dict()
    assert parse(digits).config.image_size == 32
    plain = configured(method="autoencoder", hyper={})
    assert parse(plain).config.image_size == 32
