import gc
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

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


def test_what_cannot_be_read_is_not_kept_in_memory(tmp_path):
    paths = [tmp_path / f"{i}.bmp" for i in range(3)]
    for path in paths:
        path.write_bytes(content(noise(), "bmp")[:-1])
    gc.collect()
    gc.disable()
    try:
        ((_, images, errors, _),) = files.pieces(paths, (8, 8, 3), 9)
        assert not len(images) and len(errors) == 3
        assert not [x for x in gc.get_objects() if isinstance(x, ImageFile.ImageFile)]
    finally:
        gc.enable()


def test_threads_keep_the_order_and_end_with_the_first_error():
    found = files.threaded(fails_from(2), range(9))
    assert [next(found), next(found)] == [0, 1]
    with pytest.raises(InputError, match=r"^2\.png$"):
        next(found)


GREY = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1))


@pytest.mark.parametrize("most", [1023, 4095, 65535])
@pytest.mark.parametrize("magic", ["P2", "P3", "P5", "P6"])
def test_deep_netpbm_pictures_are_scaled_by_their_largest_value(magic, most):
    channels = 3 if magic in ("P3", "P6") else 1
    values = np.repeat(GREY[..., None].astype(int) * (most // 255), channels, -1)
    plain = " ".join(map(str, values.ravel())).encode() + b"\n"
    header = f"{magic}\n# camera\n32 32 {most}\n".encode()
    whole = header + (
        plain if magic in ("P2", "P3") else values.astype(">u2").tobytes()
    )
    read = files.decode(whole, "", (32, 32, channels)).astype(int)
    assert abs(read - GREY[..., None]).max() <= 1
    with pytest.raises(InputError, match="truncated|not enough|cannot"):
        files.decode(whole[: len(whole) // 2], "", (32, 32, channels))


def tiff(values, order, photometric=1, sign=1, bits=16, planes=1):
    """An uncompressed TIFF file of `[planes, H, W]`, in strips of a plane each."""
    count, height, width = values.shape
    kept = values.astype(f"{order}{'i' if sign == 2 else 'u'}2").tobytes()
    if bits == 12:  # Two values in three bytes.
        pairs = values.reshape(-1, 2).astype(int)
        kept = b"".join(int(a << 12 | b).to_bytes(3, "big") for a, b in pairs)
    size = len(kept) // count
    tags = {
        256: [width],
        257: [height],
        258: [bits] * count,
        259: [1],
        262: [photometric],
        273: [8 + size * i for i in range(count)],
        277: [count],
        278: [height],
        279: [size] * count,
        284: [planes],
        339: [sign] * count,
    }
    start, extra, rows = 8 + len(kept), b"", b""
    after = start + 2 + 12 * len(tags) + 4
    for tag, numbers in tags.items():
        content = struct.pack(f"{order}{len(numbers)}I", *numbers)
        if len(numbers) > 1:
            place = struct.pack(f"{order}I", after + len(extra))
            extra, content = extra + content, place
        rows += struct.pack(f"{order}HHI", tag, 4, len(numbers)) + content
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(f"{order}I", start) + kept
    return head + struct.pack(f"{order}H", len(tags)) + rows + bytes(4) + extra


def deep_tiffs():
    values, grey = GREY[None].astype(int) * 257, GREY[..., None]
    for order in "<>":
        yield f"grey {order}", tiff(values, order), grey
        yield f"signed {order}", tiff(values - 2**15, order, sign=2), grey
        colours = np.concatenate([values, values[:, ::-1], values[:, :, ::-1]])
        planes = tiff(colours, order, photometric=2, planes=2)
        yield f"planes {order}", planes, np.moveaxis(colours >> 8, 0, -1)
    yield "white is 0", tiff(65535 - values, "<", photometric=0), grey
    yield "12 bits", tiff(GREY[None].astype(int) * 16, "<", bits=12), grey


@pytest.mark.parametrize("name, whole, expected", [*deep_tiffs()])
def test_deep_tiff_pictures_keep_the_upper_eight_bits(name, whole, expected):
    read = files.decode(whole, name, expected.shape)
    np.testing.assert_array_equal(read, expected)
    with pytest.raises(InputError):
        files.decode(whole[:300], name, expected.shape)


def chunk(kind, data):
    crc = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + crc


def with_chunks(whole, chunks, *, late=False):
    at = len(whole) - 12 if late else 33  # Before IEND, or after IHDR.
    return whole[:at] + b"".join(chunks) + whole[at:]


LARGE = zlib.compress(bytes(2**21))
BESIDE = {
    "text": [chunk(b"zTXt", b"a\0\0" + LARGE)],
    "unicode text": [chunk(b"iTXt", b"a\0\1\0\0\0" + LARGE)],
    "profile": [chunk(b"iCCP", b"a\0\0" + LARGE)],
    "many texts": [chunk(b"tEXt", b"a%d\0" % i + bytes(2**20)) for i in range(65)],
    "damaged exif": [chunk(b"eXIf", b"II*\0")[:-1] + b"x"],
    "wrong exif": [chunk(b"eXIf", b"no exif")],
}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("beside", BESIDE)
def test_what_is_beside_a_picture_does_not_keep_it_from_being_read(beside, late):
    plain = content(noise("L"))
    whole = with_chunks(plain, BESIDE[beside], late=late)
    shape = (64, 64, 1)
    expected = files.decode(plain, "plain", shape)
    np.testing.assert_array_equal(files.decode(whole, beside, shape), expected)
    cut = with_chunks(plain[: len(plain) // 2] + plain[-12:], BESIDE[beside])
    with pytest.raises(InputError):
        files.decode(cut, beside, shape)


def test_a_picture_with_large_texts_is_turned_and_grey(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3  # Upside down.
    plain = content(noise("L"), exif=exif)
    path = tmp_path / "x.png"
    path.write_bytes(with_chunks(plain, BESIDE["text"]))
    assert files.is_grey(path)
    read = files.read(path, (64, 64, 1))[..., 0]
    np.testing.assert_array_equal(read, np.asarray(noise("L"))[::-1, ::-1])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_damaged_exif_beside_whole_pixels_is_passed_over(kind):
    exif, rng = Image.Exif(), np.random.default_rng(0)
    exif[0x0112] = 3
    exif[0x010F] = "maker"
    options = {"lossless": True} if kind == "webp" else {}
    whole = content(noise("L"), kind, exif=exif, **options)
    upright = files.decode(content(noise("L"), kind, **options), "", (64, 64, 1))
    inside = exif.tobytes()[6:]
    start = whole.index(inside)
    for _ in range(50):
        damaged = bytearray(whole)
        damaged[start + rng.integers(len(inside))] = rng.integers(256)
        read = files.decode(bytes(damaged), "", (64, 64, 1))
        turned = read[..., 0], read[..., 0].T
        flips = [x[::a, ::b] for x in turned for a in (1, -1) for b in (1, -1)]
        assert any((upright[..., 0] == flip).all() for flip in flips)


def test_a_tiff_is_turned_once():
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((16, 32), np.uint8)
    pixels[:, :16] = 255
    whole = content(Image.fromarray(pixels), "tiff", exif=exif)
    assert (files.decode(whole, "", (32, 16, 1))[:15] > 250).all()


def test_a_transparent_value_of_16_bits_is_black():
    values = np.array([[1000, 40000]], ">u2")
    header = struct.pack(">IIBBBBB", 2, 1, 16, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"tRNS", struct.pack(">H", 40000))]
    parts += [chunk(b"IDAT", zlib.compress(b"\0" + values.tobytes()))]
    whole = b"\x89PNG\r\n\x1a\n" + b"".join([*parts, chunk(b"IEND", b"")])
    assert files.decode(whole, "", (1, 2, 1)).ravel().tolist() == [1000 >> 8, 0]


def test_grey_values_of_16_bits_with_opacity_are_grey(tmp_path):
    values = np.full((4, 4, 2), 0x1234, ">u2")
    values[..., 1] = 65535
    lines = b"".join(b"\0" + line.tobytes() for line in values)
    header = struct.pack(">IIBBBBB", 4, 4, 16, 4, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(lines))]
    path = tmp_path / "x.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join([*parts, chunk(b"IEND", b"")]))
    assert files.is_grey(path)
    assert (files.read(path, (4, 4, 1)) == 0x12).all()
    assert not files.is_grey(write(tmp_path / "y.png", noise()))


@pytest.mark.parametrize("channels", [1, 3])
def test_one_bit_is_black_and_white(channels):
    bits = Image.fromarray(np.array([[False, True]]))
    read = files.decode(content(bits), "", (1, 2, channels))
    assert (read[0] == [[0] * channels, [255] * channels]).all()


LOSSES = [("jpeg", {"quality": q}) for q in (95, 50, 10)]
LOSSES += [("webp", {"quality": q}) for q in (90, 10)]
LOSSES += [("tiff", {"compression": "jpeg"})]


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("kind, options", LOSSES)
def test_a_mask_that_was_saved_with_losses_is_read_at_half(
    kind, options, mode, tmp_path
):
    mask = np.zeros((128, 128), np.uint8)
    mask[41:45, 41:61] = 255
    path = tmp_path / "mask"
    path.write_bytes(content(Image.fromarray(mask).convert(mode), kind, **options))
    np.testing.assert_array_equal(files.read_mask(path, 128), mask > 0)
    dark = Image.fromarray(mask // 4).convert(mode)
    path.write_bytes(content(dark, kind, **options))
    with pytest.raises(InputError, match="saved with losses, whose brightest pixel is"):
        files.read_mask(path, 128)
    path.write_bytes(content(Image.new(mode, (9, 9)), kind, **options))
    assert not files.read_mask(path, 8).any()


def test_a_mask_without_losses_marks_what_is_not_black(tmp_path):
    marks = np.array([[0, 1, 255]], np.uint8)
    path = tmp_path / "mask"
    for kind, options in [("webp", {"lossless": True}), ("bmp", {}), ("tiff", {})]:
        path.write_bytes(content(Image.fromarray(marks), kind, **options))
        assert files.read_mask(path, 3)[0].tolist() == [False, True, True]
    path.write_bytes(b"P5 3 1 65535\n" + marks.astype(">u2").tobytes())
    assert files.read_mask(path, 3)[0].tolist() == [False, True, True]


def test_a_small_mark_does_not_vanish(tmp_path):
    marks = np.zeros((1000, 700), np.uint8)
    marks[501, 333] = 1
    found = files.read_mask(write(tmp_path / "mask.png", Image.fromarray(marks)), 32)
    assert np.argwhere(found).tolist() == [[501 * 32 // 1000, 333 * 32 // 700]]
