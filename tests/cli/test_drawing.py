"""Heatmaps are as large as their pictures, and each has a name of its own."""

import time

import numpy as np
import pytest
from PIL import Image

from ocjax._checks import InputError
from ocjax.cli import heatmaps, progress
from ocjax.evaluation.plots.images import overlay
from ocjax.inference import Card, Scorer

CARD = Card("m", "d", 8, 1, (), None, None, "0")


def scorer(maps):
    """One whose heatmaps are given, one after another and over again."""
    count = iter(range(10**6))

    def explain(images):
        pick = [maps[next(count) % len(maps)] for _ in images]
        return np.zeros(len(images), np.float32), np.stack(pick)

    return Scorer(CARD, lambda images: np.zeros(len(images), np.float32), explain)


def names(folder, *sources):
    paths = [str(folder / source) for source in sources]
    found = heatmaps.targets(paths, folder / "maps")
    return [str(found[path].relative_to(folder / "maps")) for path in paths]


def test_names_are_those_of_the_pictures(tmp_path):
    assert names(tmp_path, "a.jpg", "deep/a.png", "b.c.tif") == [
        "a.png",
        "deep/a.png",
        "b.c.png",
    ]
    assert names(tmp_path, "deep/a.jpg") == ["a.png"]
    assert names(tmp_path, "a.jpg", "a.jpg") == ["a.png", "a.png"]


def test_names_that_would_meet_keep_their_suffix(tmp_path):
    assert names(tmp_path, "a.jpg", "a.png", "b.png") == [
        "a.jpg.png",
        "a.png.png",
        "b.png",
    ]
    several = names(tmp_path, "a.jpg", "a.png", "a.jpg.bmp", "a.jpg.bmp.gif")
    assert len({*several}) == 4


def test_a_heatmap_is_as_large_as_its_picture_and_turned_as_it(tmp_path):
    picture, turned = tmp_path / "wide.png", tmp_path / "turned.jpg"
    Image.new("L", (41, 29), 128).save(picture)
    image, exif = Image.new("RGB", (41, 29)), Image.Exif()
    exif[0x0112] = 6  # The camera lay on its side.
    image.save(turned, exif=exif)
    left = np.zeros((8, 8), np.float32)
    left[:, :4] = 1
    paths = [str(picture), str(turned)]
    files = heatmaps.targets(paths, tmp_path / "maps")
    heatmaps.draw(scorer([left]), files)
    with Image.open(files[str(picture)]) as drawn:
        assert drawn.size == (41, 29)
        pixels = np.asarray(drawn).astype(int)
    assert (pixels[:, -1] == 128).all()  # Where the map is 0 the picture is seen,
    assert np.ptp(pixels[:, 0], axis=-1).min() > 50  # and colour where it is not.
    with Image.open(files[str(turned)]) as drawn:
        assert drawn.size == (29, 41)


def test_strips_draw_what_the_whole_would_be(monkeypatch):
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (97, 33, 3), np.uint8)
    heatmap = rng.random((8, 8), np.float32)
    large = Image.fromarray(heatmap).resize((33, 97), Image.Resampling.BILINEAR)
    whole = overlay(picture[None] / 255, np.asarray(large)[None], 0.7)[0]
    monkeypatch.setattr(heatmaps, "STRIP", 400)
    drawn = heatmaps.drawn(picture, heatmap, 0.7, "stretch")
    error = np.abs(drawn - 255 * whole)
    # Of 256 colours a level beside a border may get the next one.
    assert error.max() < 4 and error.mean() < 0.3


def test_all_heatmaps_are_on_one_scale(tmp_path):
    for name in "ab":
        Image.new("L", (8, 8)).save(tmp_path / f"{name}.png")
    weak = np.full((8, 8), 0.1, np.float32)
    paths = [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    files = heatmaps.targets(paths, tmp_path / "maps")
    heatmaps.draw(scorer([weak, 10 * weak]), files)
    means = [np.asarray(Image.open(file)).mean() for file in files.values()]
    assert means[0] < means[1] / 3


def test_nothing_is_drawn_over_what_is_there(tmp_path):
    file = tmp_path / "maps" / "a.png"
    file.parent.mkdir()
    file.touch()
    with pytest.raises(InputError, match="exists: name another folder by --heatmaps"):
        heatmaps.check({str(tmp_path / "a.png"): file}, file.parent, False)
    heatmaps.check({str(tmp_path / "a.png"): file}, file.parent, True)
    with pytest.raises(InputError, match="is a picture to score"):
        heatmaps.check({str(file): file}, file.parent, True)


def test_long_work_says_how_far_it_is(monkeypatch, capsys):
    monkeypatch.setattr(progress, "FIRST", 0.01)
    monkeypatch.setattr(progress, "BETWEEN", 0.01)

    def wait_for(text):
        said, end = "", time.monotonic() + 60
        while text not in said and time.monotonic() < end:
            said += capsys.readouterr().err
            time.sleep(0.01)
        return said

    with progress.shown("scoring", 2000) as done:
        done.done = 500
        said = wait_for("scoring: 500 of 2,000  ")
    assert "scoring: 500 of 2,000  " in said and "s left" in said
    with progress.shown("exporting"):
        said = wait_for("exporting: 0 s so far")
    assert "exporting: 0 s so far" in said


def test_short_work_says_nothing(capsys):
    with progress.shown("scoring", 3) as done:
        done.done = 3
    assert capsys.readouterr().err == ""
