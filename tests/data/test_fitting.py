"""Where pictures that are not square come to lie, by hand."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from ocjax import data
from ocjax._checks import InputError
from ocjax.data import files, fitting, images
from ocjax.data.fitting import Box


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path)
    return path


def test_a_stretched_picture_fills_the_square():
    found = fitting.place((3, 7), (4, 4), "stretch")
    assert found == (Box(0, 0, 7, 3), Box(0, 0, 4, 4))


@pytest.mark.parametrize(
    "picture, lies",
    [
        ((4, 8), Box(0, 2, 8, 6)),  # Landscape: 8 * 4 / 8 = 4 rows.
        ((8, 4), Box(2, 0, 6, 8)),  # Portrait.
        ((5, 9), Box(0, 2, 8, 6)),  # 8 * 5 / 9 = 4.4 rows.
        ((7, 9), Box(0, 1, 8, 7)),  # 8 * 7 / 9 = 6.2 rows.
        ((9, 8), Box(0, 0, 7, 8)),  # 7.1 columns; the one left over is at the right.
        ((100, 1), Box(3, 0, 4, 8)),  # 0.08 columns, and there is one at least.
        ((1, 100), Box(0, 3, 8, 4)),
        ((1, 1), Box(0, 0, 8, 8)),
        ((3, 3), Box(0, 0, 8, 8)),
    ],
)
def test_a_padded_picture_lies_in_the_middle(picture, lies):
    height, width = picture
    assert fitting.place(picture, (8, 8), "pad") == (Box(0, 0, width, height), lies)


@pytest.mark.parametrize(
    "picture, seen",
    [
        ((4, 8), Box(2, 0, 6, 4)),
        ((8, 4), Box(0, 2, 4, 6)),
        ((5, 8), Box(1, 0, 6, 5)),  # Of three columns too many the right has two.
        ((100, 1), Box(0, 49, 1, 50)),
        ((1, 100), Box(49, 0, 50, 1)),
        ((6, 6), Box(0, 0, 6, 6)),
    ],
)
def test_of_a_cut_picture_the_middle_is_seen(picture, seen):
    assert fitting.place(picture, (8, 8), "cut") == (seen, Box(0, 0, 8, 8))


def test_padding_is_the_mean_of_the_border():
    # Eight pixels of the border have the mean (7 * 10 + 90) / 8 = 20.
    pixels = np.full((3, 3, 1), 10, np.uint8)
    pixels[1, 1], pixels[0, 2] = 250, 90
    whole = fitting.padded(pixels, (3, 5), Box(1, 0, 4, 3))
    assert (whole[:, [0, 4]] == 20).all()
    np.testing.assert_array_equal(whole[:, 1:4], pixels)
    line = np.array([[10.0], [20.0], [60.0]], np.float32)[..., None]
    assert (fitting.padded(line, (3, 3), Box(1, 0, 2, 3))[:, [0, 2]] == 30).all()


@pytest.mark.parametrize("shape", [(4, 8), (8, 4)])
def test_files_and_arrays_are_fitted_alike_and_by_hand(tmp_path, shape):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (*shape, 3), np.uint8)
    path = write(tmp_path / "a.png", pixels)
    wide = shape[1] > shape[0]
    middle = pixels[:, 2:6] if wide else pixels[2:6]
    for size in (4, 8, 3):
        for fit in fitting.FITS:
            read = files.read(path, (size, size, 3), fit)
            array = images.resize(pixels[None], size, fit)[0]
            np.testing.assert_array_equal(read, array)
            floats = images.resize(pixels[None] / np.float32(127.5) - 1, size, fit)
            np.testing.assert_allclose(127.5 * (floats[0] + 1), array, atol=1.1)
        cut = files.read(path, (size, size, 3), "cut")
        np.testing.assert_array_equal(cut, images.resize(middle[None], size)[0])
    np.testing.assert_array_equal(files.read(path, (4, 4, 3), "cut"), middle)
    inner = files.read(path, (8, 8, 3), "pad")
    inner = inner[2:6] if wide else inner[:, 2:6]
    np.testing.assert_array_equal(inner, pixels)


def test_a_mask_is_fitted_as_its_picture(tmp_path):
    marked = np.zeros((4, 8), bool)
    marked[1, 5], marked[3, 7] = True, True
    path = tmp_path / "mask.png"
    Image.fromarray(marked).save(path)
    padded = np.zeros((8, 8), bool)
    padded[3, 5], padded[5, 7] = True, True
    np.testing.assert_array_equal(files.read_mask(path, 8, "pad"), padded)
    np.testing.assert_array_equal(files.read_mask(path, 4, "cut"), marked[:, 2:6])
    small = files.read_mask(path, 2, "pad")  # One row, in which no mark is lost.
    assert small.tolist() == [[False, True], [False, False]]
    marked[1, 5] = False  # What is cut away is not marked.
    Image.fromarray(marked).save(path)
    assert not files.read_mask(path, 4, "cut").any()


def test_a_heatmap_loses_its_padding_and_gets_zeros_where_nothing_was_seen():
    heatmap = np.arange(16, dtype=np.float32).reshape(4, 4)
    np.testing.assert_array_equal(data.unfitted(heatmap, (2, 4), "pad"), heatmap[1:3])
    np.testing.assert_array_equal(
        data.unfitted(heatmap, (4, 2), "pad"), heatmap[:, 1:3]
    )
    expected = np.zeros((4, 7), np.float32)
    expected[:, 1:5] = heatmap
    np.testing.assert_array_equal(data.unfitted(heatmap, (4, 7), "cut"), expected)
    np.testing.assert_array_equal(data.unfitted(heatmap, (7, 4), "cut")[1:5], heatmap)
    line = data.unfitted(heatmap, (1, 9), "pad")
    assert line.shape == (1, 9) and line[0, 0] == 4 and line[0, -1] == 7
    stretched = data.unfitted(heatmap, (4, 8), "stretch")
    assert stretched.shape == (4, 8) and stretched[3, 7] == 15


@pytest.mark.parametrize("fit", fitting.FITS)
@pytest.mark.parametrize("shape", [(23, 10), (10, 23), (1, 9)])
def test_strips_of_a_heatmap_are_those_of_the_whole(fit, shape):
    heatmap = np.random.default_rng(0).random((8, 8), np.float32)
    whole = data.unfitted(heatmap, shape, fit)
    ends = sorted({0, 1, shape[0] // 2, shape[0]})
    strips = [
        data.unfitted(heatmap, shape, fit, rows)
        for rows in zip(ends, ends[1:], strict=False)
    ]
    np.testing.assert_allclose(np.concatenate(strips), whole, atol=1e-6)


def folder(root):
    rng = np.random.default_rng(0)
    for i in range(6):
        write(root / "train" / "good" / f"{i}.png", rng.integers(0, 256, (12, 9)))
    for kind in ("good", "bent"):
        write(root / "test" / kind / "0.png", rng.integers(0, 256, (12, 9)))
    write(root / "ground_truth" / "bent" / "0.png", np.eye(12, 9) * 255)
    return root


def test_the_cache_keeps_each_fit_apart(tmp_path):
    root = folder(tmp_path)

    def load(fit) -> Any:  # No field is None here.
        return data.load("folder", data_dir=root, size=8, fit=fit)

    first = {fit: load(fit) for fit in fitting.FITS}
    assert len({data.fingerprint(found) for found in first.values()}) == 3
    assert len({found.masks.tobytes() for found in first.values()}) == 3
    for fit, before in first.items():
        again = load(fit)
        np.testing.assert_array_equal(again.images, before.images)
        np.testing.assert_array_equal(again.masks, before.masks)
        path = root / "train" / "good" / "0.png"
        read = files.read(path, (8, 8, 1), fit)
        np.testing.assert_array_equal(again.images[0], read)


def test_other_data_than_folders_are_refused():
    with pytest.raises(InputError, match="`config.fit` is for pictures in folders"):
        data.load("digits", fit="pad")
    with pytest.raises(InputError, match="expected one of stretch, pad, cut"):
        data.load("folder", data_dir=".", fit="crop")
