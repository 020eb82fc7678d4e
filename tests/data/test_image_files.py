import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from ocjax._checks import InputError
from ocjax.data import files

RED, GREEN = (255, 0, 0), (0, 255, 0)


def content(image, kind="png", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(mode="RGB", side=64):
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    return Image.fromarray(pixels).convert(mode)


def png_of_size(width, height):
    """A PNG file of a few bytes that says to be so large."""
    chunk = lambda kind, data: (
        struct.pack(">I", len(data))
        + (kind + data)
        + struct.pack(">I", zlib.crc32(kind + data))
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(b"\0" * 100)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


HOSTILE = {
    "empty": (b"", "it is empty"),
    "text": (b"no picture\n" * 9, "it begins as no file of the formats BMP, GIF"),
    "cut png": (content(noise())[:3000], "truncated"),
    "cut in the header": (content(noise())[:20], "Truncated File Read"),
    "cut jpeg": (content(noise(), "jpeg")[:1500], "truncated"),
    "bomb": (
        png_of_size(20_000, 20_000),
        "it has 20,000 x 20,000 pixels, more than the 100,000,000 that may be decoded",
    ),
    "just too large": (png_of_size(10_001, 10_000), "10,001 x 10,000 pixels"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n", "it begins as no file of the formats"),
    "unknown range": (content(Image.new("F", (4, 4)), "tiff"), "32 bits a pixel"),
}


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("channels", [1, 3])
def test_what_cannot_be_read_is_said_in_one_line(case, channels, tmp_path):
    path = tmp_path / "x.png"
    bad, message = HOSTILE[case]
    path.write_bytes(bad)
    with pytest.raises(InputError, match=message) as read:
        files.read(path, (8, 8, channels))
    with pytest.raises(InputError) as decoded:
        files.decode(bad, str(path), (8, 8, channels))
    assert str(read.value) == str(decoded.value)
    assert str(read.value).startswith(f"{path} is no readable image: ")
    assert "\n" not in str(read.value)


@pytest.mark.parametrize("function", [files.open_rgb, files.is_grey])
def test_other_ways_to_read_say_the_same(function, tmp_path):
    (tmp_path / "bomb.png").write_bytes(png_of_size(20_000, 20_000))
    with pytest.raises(InputError, match="bomb.png is no readable image: it has 20,0"):
        function(tmp_path / "bomb.png")
    with pytest.raises(InputError, match="none.png is no readable image: No such file"):
        function(tmp_path / "none.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match="folder.png is no readable image: Is a dir"):
        function(tmp_path / "folder.png")


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(InputError, match="none.png is no readable image: No such file"):
        files.read(tmp_path / "none.png", (8, 8, 1))
    with pytest.raises(InputError, match="is no readable image: Is a directory"):
        files.read(tmp_path, (8, 8, 1))


@pytest.mark.parametrize("kind", ["bmp", "gif", "jpeg", "png", "ppm", "tiff", "webp"])
def test_any_damage_is_an_input_error_or_none(kind, tmp_path):
    whole, rng = content(noise(side=24), kind), np.random.default_rng(0)
    assert files.decode(whole, "whole", (8, 8, 3)).shape == (8, 8, 3)
    for _ in range(100):
        damaged = bytearray(whole)
        for place in rng.integers(0, min(len(whole), 200), 3):
            damaged[place] = rng.integers(256)
        try:
            found = files.decode(bytes(damaged), "damaged", (8, 8, 3))
            assert found.shape == (8, 8, 3) and found.dtype == np.uint8
        except InputError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("failure", [MemoryError(), EOFError(), struct.error("odd")])
def test_whatever_pillow_raises_is_an_input_error(failure, monkeypatch):
    def fail(*_, **__):
        raise failure

    monkeypatch.setattr(Image.Image, "resize", fail)
    said = str(failure) or type(failure).__name__
    with pytest.raises(InputError, match=f"^up.png is no readable image: {said}$"):
        files.decode(content(noise()), "up.png", (8, 8, 3))


def test_cmyk_becomes_red(tmp_path):
    ink = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    found = files.decode(content(ink, "tiff"), "ink", (4, 4, 3))
    assert (found == RED).all()
    jpeg = files.decode(content(ink, "jpeg"), "ink", (4, 4, 3)).astype(int)
    assert abs(jpeg - RED).max() < 10
    assert files.decode(content(ink, "jpeg"), "ink", (4, 4, 1)).shape == (4, 4, 1)


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_sixteen_bits_keep_the_upper_eight(kind):
    deep = Image.fromarray(np.full((4, 4), 0x1234, np.uint16))
    for channels in (1, 3):
        assert (files.decode(content(deep, kind), "", (4, 4, channels)) == 0x12).all()


def test_what_is_transparent_lies_on_black():
    # Red at opacities 0, 51 and 255 of 255.
    pixels = np.full((1, 3, 4), 255, np.uint8)
    pixels[..., 1:3], pixels[0, :, 3] = 0, (0, 51, 255)
    found = files.decode(content(Image.fromarray(pixels)), "", (1, 3, 3))
    np.testing.assert_array_equal(found[0, :, 0], [0, 51, 255])
    assert not found[..., 1:].any()
    grey = Image.fromarray(np.array([[[200, 0], [200, 255]]], np.uint8), "LA")
    found = files.decode(content(grey), "", (1, 2, 1))
    np.testing.assert_array_equal(found[0, :, 0], [0, 200])


@pytest.mark.parametrize("transparency", [0, bytes([0, 255])])
def test_a_palette_may_have_a_transparent_colour(transparency):
    indexed = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    indexed.putpalette([*RED, *GREEN])
    whole = content(indexed, transparency=transparency)
    found = files.decode(whole, "", (1, 2, 3))
    np.testing.assert_array_equal(found[0], [(0, 0, 0), GREEN])
    found = files.decode(content(indexed), "", (1, 2, 3))
    np.testing.assert_array_equal(found[0], [RED, GREEN])


@pytest.mark.parametrize("kind", ["gif", "png", "webp", "tiff"])
def test_of_an_animation_the_first_picture_is_read(kind):
    first, second = Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), GREEN)
    options = {"lossless": True} if kind == "webp" else {}
    moving = content(first, kind, save_all=True, append_images=[second], **options)
    assert Image.open(io.BytesIO(moving)).n_frames == 2  # pyright: ignore
    assert (files.decode(moving, "", (4, 4, 3)) == RED).all()


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_a_picture_is_turned_as_the_camera_noted(kind):
    pixels = np.zeros((16, 32), np.uint8)
    pixels[:, :16] = 255  # Left.
    exif = Image.Exif()
    exif[0x0112] = 6  # To be turned by 90 degrees clockwise: left comes up.
    turned = content(Image.fromarray(pixels), kind, exif=exif)
    found = files.decode(turned, "", (32, 16, 1))
    assert (found[:15] > 250).all() and (found[17:] < 5).all()


def test_a_binary_file_is_read_as_its_bytes_are(tmp_path):
    whole = content(noise())
    path = tmp_path / "x.png"
    path.write_bytes(whole)
    expected = files.read(path, (8, 8, 3))
    np.testing.assert_array_equal(files.decode(whole, "x", (8, 8, 3)), expected)
    with open(path, "rb") as file:
        np.testing.assert_array_equal(files.decode(file, "x", (8, 8, 3)), expected)
    picture = noise().resize((8, 8), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(expected, np.asarray(picture))


def test_a_picture_of_just_the_limit_is_read(monkeypatch):
    whole = content(noise(side=8))
    monkeypatch.setattr(files, "PIXELS", 64)
    assert files.decode(whole, "large", (8, 8, 1)).any()
    monkeypatch.setattr(files, "PIXELS", 63)
    with pytest.raises(InputError, match="it has 8 x 8 pixels, more than the 63 that"):
        files.decode(whole, "large", (8, 8, 1))


def write(path, image, **options):
    path.write_bytes(content(image, **options))
    return path


def test_a_mask_is_what_is_not_black(tmp_path):
    marks = np.array([[0, 1, 255]], np.uint8)
    indexed = Image.fromarray(np.array([[1, 0, 2]], np.uint8), "P")
    indexed.putpalette([0, 0, 1, 0, 0, 0, *GREEN])  # Black is the second colour.
    colour = np.zeros((1, 3, 3), np.uint8)
    colour[0, 1:] = (0, 0, 1), RED
    opacity = Image.fromarray(np.array([[[255, 0], [9, 255], [255, 99]]], np.uint8))
    for image in (
        Image.fromarray(marks),
        Image.fromarray(marks > 0),
        Image.fromarray(marks.astype(np.uint16)),
        indexed,
        Image.fromarray(colour),
        opacity,
    ):
        found = files.read_mask(write(tmp_path / "mask.png", image), 6)
        assert found.dtype == bool
        np.testing.assert_array_equal(found, [[0, 0, 1, 1, 1, 1]] * 6)
    with pytest.raises(InputError, match="none.png is no readable image: No such file"):
        files.read_mask(tmp_path / "none.png", 6)


def fails_from(limit):
    def function(number):
        if number >= limit:
            raise InputError(f"{number}.png")
        return number

    return function


def test_every_counts_what_fails_and_names_the_first_five():
    assert files.every(fails_from(9), range(9)) == list(range(9))
    named = "2.png; 3.png; 4.png; 5.png; 6.png"
    with pytest.raises(InputError) as error:
        files.every(fails_from(2), range(7))
    assert str(error.value) == f"5 of 7 files cannot be read: {named}."
    with pytest.raises(InputError) as error:
        files.every(fails_from(2), range(9))
    assert str(error.value) == f"7 of 9 files cannot be read: {named}; and 2 more."


def test_threads_keep_the_order_and_end_with_the_first_error():
    found = files.threaded(fails_from(2), range(9))
    assert [next(found), next(found)] == [0, 1]
    with pytest.raises(InputError, match=r"^2\.png$"):
        next(found)


def test_pictures_below_a_folder_are_sorted_and_hidden_ones_left_out(tmp_path):
    root = tmp_path / ".hidden root"
    names = ["b.PNG", "a/c.gif", "a/.d.png", ".thumbnails/e.png", "f.txt", "g.jpeg"]
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / "folder.png").mkdir()
    (root / "gone.png").symlink_to(root / "nowhere.png")
    found = [path.relative_to(root).as_posix() for path in files.below(root)]
    assert found == ["a/c.gif", "b.PNG", "g.jpeg"]
