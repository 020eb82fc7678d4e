"""Scorers: of methods, of files on disk, and their cards."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from ocjax._checks import InputError
from ocjax.data import files
from ocjax.inference import scorer
from ocjax.methods import Method, State

CARD = scorer.Card("toy", "made up", 8, 1, (1.0, 2.0, 3.0), 0.25, 3.0, "0.1")
RNG = np.random.default_rng(0)


def toy(card=CARD):
    """Its score is the number of white pixels."""
    white = lambda state, x: jnp.sum((x + 1) / 2, axis=(1, 2, 3)) * state.params
    half = lambda state, x: x / 2
    method = Method(None, (), white, {}, half)  # pyright: ignore[reportArgumentType]
    state: State = State(jnp.float32(1), {}, {}, jnp.int32(0))  # pyright: ignore
    return scorer.of_method(card, method, state)


def pictures(*whites):
    """Images with so many white pixels."""
    images = np.zeros((len(whites), 64), np.uint8)
    for image, white in zip(images, whites, strict=True):
        image[:white] = 255
    return images.reshape(-1, 8, 8, 1)


def test_verdicts_by_hand():
    found: Any = toy().judge(pictures(0, 2, 3, 9), explain=True)
    np.testing.assert_allclose(found.scores, [0, 2, 3, 9], rtol=1e-6)
    assert found.anomalous.tolist() == [False, False, False, True]
    np.testing.assert_array_equal(found.p_values, [1, 0.75, 0.5, 0.25])
    np.testing.assert_allclose(found.percentiles, [0, 100 / 3, 200 / 3, 100])
    assert found.heatmaps.shape == (4, 8, 8)
    assert toy().judge(pictures(1)).heatmaps is None


def test_no_images_are_no_verdicts():
    found: Any = toy().judge(pictures(), explain=True)
    assert [len(part) for part in found] == [0] * 5


def test_without_held_out_normals_there_are_scores_alone():
    card = dataclasses.replace(CARD, normals=(), threshold=None)
    found = toy(card).judge(pictures(5))
    assert found[1:4] == (None, None, None)
    with pytest.raises(InputError, match="no held-out normals"):
        card.at(0.1)


def test_another_rate_has_another_threshold():
    assert toy().at(0.5).card.threshold == 2.0
    with pytest.raises(InputError, match="at least 9 held-out"):
        toy().at(0.1)
    with pytest.raises(InputError, match="in \\(0, 1\\), got 5"):
        toy().at(5)


def test_other_images_are_refused():
    for shape in [(2, 8, 8, 3), (2, 16, 16, 1), (8, 8, 1)]:
        with pytest.raises(InputError, match=r"\[N, 8, 8, 1\].*got \["):
            toy().score(np.zeros(shape, np.uint8))
    with pytest.raises(ValueError, match="got values from"):
        toy().score(np.full((1, 8, 8, 1), 2.0))


def write(folder, images):
    paths = []
    for i, image in enumerate(images):
        paths.append(folder / f"{i}.png")
        Image.fromarray(image.squeeze()).save(paths[-1])
    return paths


@pytest.mark.parametrize("count", [0, 7])
def test_files_are_judged_as_their_pixels_are(tmp_path, count):
    images = pictures(*range(count))
    paths = write(tmp_path, images)
    found: Any = list(toy().judge_files(paths, piece=3))
    assert [path for path, _ in found] == [str(path) for path in paths]
    expected = toy().judge(images)
    columns = [[one[i] for _, one in found] for i in range(4)]
    for column, part in zip(columns, expected, strict=False):
        assert column == part.tolist()


def test_files_are_brought_to_the_size_and_channels_of_training(tmp_path):
    Image.new("RGB", (50, 40), (255, 255, 255)).save(tmp_path / "white.jpg")
    ((_, found),) = toy().judge_files([tmp_path / "white.jpg"])
    assert isinstance(found, scorer.Verdict) and found.score == 64


def test_files_are_read_no_more_than_a_piece_ahead(tmp_path, monkeypatch):
    read, seen = files.read_placed, []
    monkeypatch.setattr(files, "read_placed", lambda *a: seen.append(a[0]) or read(*a))
    paths = write(tmp_path, pictures(*range(12)))
    next(toy().judge_files(paths, piece=2))
    assert 2 <= len(seen) <= 4


def test_a_file_that_is_no_image_does_not_stop_the_others(tmp_path):
    paths = write(tmp_path, pictures(*range(5)))
    paths[3].write_bytes(b"not an image")
    found: Any = [one for _, one in toy().judge_files(paths, piece=2)]
    assert isinstance(found[3], InputError) and "3.png is no readable" in str(found[3])
    scores = [one.score for i, one in enumerate(found) if i != 3]
    np.testing.assert_allclose(scores, [0, 1, 2, 4], rtol=1e-6)


def test_a_score_that_is_not_finite_is_an_error_of_its_file(tmp_path):
    Image.fromarray(pictures(3)[0, ..., 0]).save(tmp_path / "a.png")
    odd = scorer.Scorer(
        CARD, lambda x: np.full(len(x), np.nan, np.float32), NotImplemented
    )
    ((name, found),) = odd.judge_files([str(tmp_path / "a.png")])
    assert isinstance(found, InputError) and "score is nan" in str(found)
