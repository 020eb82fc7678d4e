import struct
import sys
import wave

import numpy as np
import pytest

from ocjax import _extras
from ocjax._checks import InputError
from ocjax.data.sources import audio


def write(path, samples, width=2, rate=audio.RATE):
    """A WAV file of little-endian integers, `samples` `[T]` or `[T, channels]`."""
    samples = np.asarray(samples, np.int64)
    columns = samples if samples.ndim == 2 else samples[:, None]
    if width == 1:
        columns = columns + 128  # The only unsigned ones.
    raw = columns.astype("<i8")[..., None].view(np.uint8)[..., :width]
    with wave.open(str(path), "wb") as file:
        file.setparams((columns.shape[1], width, rate, 0, "NONE", ""))
        file.writeframes(raw.tobytes())
    return path


def tone(hertz, seconds=1.0, rate=audio.RATE):
    times = np.arange(round(seconds * rate)) / rate
    return np.sin(2.0 * np.pi * hertz * times).astype(np.float32)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_integers_of_every_width(tmp_path, width):
    full = 2 ** (8 * width - 1)
    samples = np.array([-full, -full // 2, -full // 128, 0, full // 2, full // 128])
    found = audio.read(write(tmp_path / "a.wav", samples, width))
    assert found.dtype == np.float32
    # Negative full scale is -1; 1 itself is not reached.
    np.testing.assert_array_equal(found, [-1, -0.5, -1 / 128, 0, 0.5, 1 / 128])
    found = audio.read(write(tmp_path / "a.wav", [full - 1], width))
    np.testing.assert_allclose(found, 1 - 1 / full, rtol=1e-6)


def test_channels_are_averaged(tmp_path):
    stereo = np.array([[16384, 0], [8192, -8192], [-32768, -32768]])
    found = audio.read(write(tmp_path / "a.wav", stereo))
    np.testing.assert_array_equal(found, [0.25, 0.0, -1.0])


def test_other_rates_are_resampled(tmp_path):
    samples = np.round(tone(440.0, rate=44100) * 30000)
    found = audio.read(write(tmp_path / "a.wav", samples, rate=44100))
    assert found.shape == (16000,) and found.dtype == np.float32
    expected = tone(440.0) * 30000 / 32768
    # Beyond its ends the filter takes the sound to be 0.
    np.testing.assert_allclose(found[200:-200], expected[200:-200], atol=2e-3)
    # What 16 kHz cannot hold is filtered out, not folded to other frequencies.
    high = audio.resample(tone(11000.0, rate=44100), 44100, 16000)
    assert np.abs(high[200:-200]).max() < 1e-2
    assert audio.read(tmp_path / "a.wav", 8000).shape == (8000,)


def test_what_resampling_puts_beyond_full_scale_is_clipped(tmp_path):
    square = np.sign(tone(100.0, rate=44100)) * 32767
    found = audio.read(write(tmp_path / "a.wav", square, rate=44100))
    assert np.abs(audio.resample(square.astype(np.float32), 44100, 16000)).max() > 32800
    assert np.abs(found).max() == 1.0


def error_of(path):
    with pytest.raises(InputError) as caught:
        audio.read(path)
    message = str(caught.value)
    assert "\n" not in message and str(path) in message
    return message.replace(str(path), "PATH")


def test_bad_files_are_named_in_one_line(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    assert error_of(path) == "There is no file PATH."
    path.write_bytes(b"")
    assert error_of(path) == "PATH is cut short: it ends within its header."
    write(path, [])
    assert error_of(path) == "PATH has no samples."
    whole = write(path, np.arange(100)).read_bytes()
    path.write_bytes(whole[:-50])
    assert error_of(path) == "PATH is cut short: it has 75 of 100 samples."
    monkeypatch.setitem(sys.modules, "soundfile", None)
    path.write_bytes(b"no sound at all, but text")
    assert error_of(path) == (
        "PATH is no WAV file of integers (file does not start with RIFF id); to read "
        f"other sounds: {_extras.install('audio')}"
    )
    folder = tmp_path / "b.wav"
    folder.mkdir()
    assert error_of(folder).startswith("PATH cannot be read: [Errno ")


def test_wherever_a_file_ends_it_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    whole = write(tmp_path / "a.wav", np.arange(4), width=3).read_bytes()
    for end in range(len(whole)):
        (tmp_path / "a.wav").write_bytes(whole[:end])
        error_of(tmp_path / "a.wav")


def float_wav(samples):
    """A WAV file of 32-bit floats in one channel."""
    data = np.asarray(samples, "<f4").tobytes()
    form = struct.pack("<HHIIHH", 3, 1, audio.RATE, 4 * audio.RATE, 4, 32)
    chunks = b"fmt " + struct.pack("<I", 16) + form
    chunks += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def test_floats_need_soundfile(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    path.write_bytes(float_wav([0.5]))
    monkeypatch.setitem(sys.modules, "soundfile", None)
    assert error_of(path) == (
        "PATH is no WAV file of integers (unknown format: 3); to read other sounds: "
        f"{_extras.install('audio')}"
    )


def test_other_files_are_read_by_soundfile(tmp_path):
    reason = "soundfile, the extra `audio`, is not installed."
    soundfile = pytest.importorskip("soundfile", reason=reason)
    path = tmp_path / "a.wav"
    path.write_bytes(float_wav([0.5, -0.25, 1.5]))
    np.testing.assert_array_equal(audio.read(path), [0.5, -0.25, 1.0])
    for bad in (np.nan, np.inf, 32767.0):
        path.write_bytes(float_wav([0.5, bad]))
        assert error_of(path) == "PATH has samples that are not in [-1, 1]."
    stereo = np.stack([tone(440.0), 0.5 * tone(440.0)], axis=1)
    for name, options in {
        "a.flac": {"subtype": "PCM_24"},
        # Integers, but with the header of more than two channels.
        "b.wav": {"subtype": "PCM_24", "format": "WAVEX"},
    }.items():
        soundfile.write(tmp_path / name, 0.9 * stereo, audio.RATE, **options)
        np.testing.assert_allclose(
            audio.read(tmp_path / name), 0.675 * tone(440.0), atol=1e-6
        )
    path.write_bytes(b"no sound at all, but text")
    assert error_of(path).startswith("PATH is no readable sound: Error opening")


def test_other_files_that_are_cut_short_are_not_read(tmp_path):
    reason = "soundfile, the extra `audio`, is not installed."
    soundfile = pytest.importorskip("soundfile", reason=reason)
    path = tmp_path / "a.wav"
    # Libsndfile itself would take the samples that are left.
    whole = float_wav(np.full(100, 0.5))
    path.write_bytes(whole[:-200])
    assert error_of(path) == "PATH is cut short: it has 200 of 400 bytes of sound."
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        error_of(path)
    # An odd chunk, with the byte that fills it up, before the samples.
    note = b"note" + struct.pack("<I", 3) + b"odd\0"
    path.write_bytes(whole[:12] + note + whole[12:])
    np.testing.assert_array_equal(audio.read(path), np.full(100, np.float32(0.5)))
    path.write_bytes(whole[:12] + note + whole[12:-4])
    assert error_of(path) == "PATH is cut short: it has 396 of 400 bytes of sound."
    for name, options in {
        "b.wav": {"subtype": "PCM_24", "format": "WAVEX"},
        "a.flac": {"subtype": "PCM_24"},
    }.items():
        soundfile.write(tmp_path / name, 0.5 * tone(440.0), audio.RATE, **options)
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        error_of(tmp_path / name)


def test_windows_by_hand():
    found = audio.windows(np.arange(10), 4, 3)
    np.testing.assert_array_equal(found, [[0, 1, 2, 3], [3, 4, 5, 6], [6, 7, 8, 9]])
    assert audio.windows(np.arange(9), 4, 3).shape == (2, 4)
    assert audio.windows(np.arange(4), 4, 3).shape == (1, 4)
    for length, hop in ((11, 1), (0, 1), (4, 0)):
        with pytest.raises(ValueError, match=rf"`length` \(={length}\)"):
            audio.windows(np.arange(10), length, hop)


def reference(waveform, rate, bins):
    """Equation by equation, with sums in place of a fast transform, in float64."""
    frame, hop = round(0.05 * rate), round(0.015 * rate)
    size = 2 ** int(np.ceil(np.log2(frame)))
    n, k = np.arange(frame), np.arange(size // 2 + 1)
    hann = np.sin(np.pi * n / frame) ** 2
    fourier = np.exp(-2j * np.pi * np.outer(n, k) / size)
    top = 2595 * np.log10(1 + rate / 2 / 700)
    bottom = 2595 * np.log10(1 + 50 / 700)
    mels = [bottom + (top - bottom) * i / (bins + 1) for i in range(bins + 2)]
    corners = [700 * (10 ** (mel / 2595) - 1) for mel in mels]
    columns = []
    for start in range(0, len(waveform) - frame + 1, hop):
        part = waveform[start : start + frame].astype(np.float64)
        amplitude = np.abs((part * hann) @ fourier) / (hann.sum() / 2)
        column = []
        for low, centre, high in zip(corners, corners[1:], corners[2:], strict=False):
            total = 0.0
            for hertz, a in zip(k * rate / size, amplitude, strict=True):
                if low < hertz <= centre:
                    total += a**2 * (hertz - low) / (centre - low)
                elif centre < hertz < high:
                    total += a**2 * (high - hertz) / (high - centre)
            column.append(10 * np.log10(total + 1e-14))
        columns.append(column)
    return np.array(columns).T


@pytest.mark.parametrize(("rate", "bins"), [(16000, 64), (16000, 20), (8000, 40)])
def test_log_mel_agrees_with_sums_in_float64(rate, bins):
    rng = np.random.default_rng(0)
    noise = 0.1 * rng.normal(size=(3, rate // 10)).astype(np.float32)
    noise[1] = tone(997.0, 0.1, rate)
    noise[2] *= 1e-3
    found = audio.log_mel(noise, rate, bins)
    assert found.dtype == np.float32
    for row, waveform in zip(found, noise, strict=True):
        expected = reference(waveform, rate, bins)
        assert row.shape == expected.shape
        # Power that is 100 dB below the loudest is rounding of the loudest.
        seen = expected > expected.max() - 100
        np.testing.assert_allclose(row[seen], expected[seen], atol=2e-2)
        assert row[~seen].max(initial=-200) < expected.max() - 95


def centres(bins=64):
    mel = lambda hertz: 2595 * np.log10(1 + hertz / 700)
    corners = np.linspace(mel(50), mel(8000), bins + 2)[1:-1]
    return 700 * (10 ** (corners / 2595) - 1)


@pytest.mark.parametrize("band", [0, 1, 7, 20, 40, 62, 63])
def test_a_tone_is_in_the_band_around_it(band):
    found = audio.log_mel(tone(centres()[band])[None])[0]
    assert (found.argmax(axis=0) == band).all()
    # A little over 0 dB, since its main lobe is several frequencies wide.
    assert (np.abs(found[band]) < 3).all()
    # Half the amplitude is 6 dB less, everywhere that is not rounding.
    half = audio.log_mel(0.5 * tone(centres()[band])[None])[0]
    loud = found > -60
    np.testing.assert_allclose((found - half)[loud], 20 * np.log10(2), atol=1e-2)


def test_a_click_is_in_the_columns_around_it():
    clicks = np.zeros((1, 16000), np.float32)
    clicks[0, 8000] = 1.0
    found = audio.log_mel(clicks)[0]
    # Frame i hears the samples 240 i to 240 i + 799.
    heard = [i for i in range(64) if 240 * i < 8000 < 240 * i + 800]
    assert heard == [31, 32, 33]
    np.testing.assert_array_equal((found > -100).all(axis=0).nonzero()[0], heard)
    assert (found[:, :31] == found[0, 0]).all() and abs(found[0, 0] + 140) < 1e-3


def test_a_spectrogram_ignores_its_batch():
    waveforms = np.random.default_rng(1).normal(size=(37, 16000)).astype(np.float32)
    together = audio.log_mel(waveforms)
    assert together.shape == (37, 64, 64)  # A second gives as many times as bands.
    for i in (0, 16, 36):
        alone = audio.log_mel(waveforms[i : i + 1])[0]
        np.testing.assert_allclose(together[i], alone, atol=1e-4)
    assert audio.log_mel(waveforms[:0]).shape == (0, 64, 64)


def test_bad_waveforms_and_bands_raise():
    with pytest.raises(ValueError, match=r"T at least 800, got \[2, 799\]"):
        audio.log_mel(np.zeros((2, 799), np.float32))
    with pytest.raises(ValueError, match=r"\[N, T\].* got \[16000\]"):
        audio.log_mel(np.zeros(16000, np.float32))
    with pytest.raises(ValueError, match=r"`bins` \(=512\) are too many for 16000"):
        audio.log_mel(np.zeros((1, 16000), np.float32), bins=512)


def test_pictures_by_hand():
    spectrogram = np.full((1, 3, 2), -50.0)  # The lowest frequency comes first.
    spectrogram[0, 0] = -10.0, -25.0
    spectrogram[0, 2] = -70.0, -100.0
    found = audio.to_images(spectrogram)
    assert found.dtype == np.uint8 and found.shape == (1, 3, 2, 1)
    # 60 dB are 255 levels: 255 (1 - 15/60) = 191, 255 (1 - 40/60) = 85.
    expected = [[0, 0], [85, 85], [255, 191]]
    np.testing.assert_array_equal(found[0, :, :, 0], expected)


def test_pictures_do_not_tell_how_loud_a_sound_is():
    noise = 0.1 * np.random.default_rng(2).normal(size=(2, 16000)).astype(np.float32)
    levels = [audio.to_images(audio.log_mel(gain * noise)) for gain in (1.0, 0.01)]
    difference = np.abs(levels[0].astype(int) - levels[1])
    assert difference.max() <= 1 and levels[0].std() > 5
    # Nor does a loud window darken its neighbour in the batch.
    noise[1] *= 100
    np.testing.assert_array_equal(
        audio.to_images(audio.log_mel(noise))[0], levels[0][0]
    )


def test_silence_is_black():
    silence = audio.log_mel(np.zeros((1, 16000), np.float32))
    assert (audio.to_images(silence) == 0).all()


def test_levels_by_hand():
    waveforms = np.stack([np.ones(8), np.zeros(8), np.resize([0.1, -0.1], 8)])
    found = audio.level(waveforms.astype(np.float32))
    np.testing.assert_allclose(found, [0.0, -140.0, -20.0], atol=1e-4)
    sine = audio.level(0.5 * tone(100.0)[None])
    np.testing.assert_allclose(sine, 20 * np.log10(0.5 / np.sqrt(2)), atol=1e-3)
