"""Sound files as waveforms, and waveforms as pictures.

A picture is a log-mel spectrogram, one of a window of sound: columns are times, rows
are frequencies, low ones at the bottom. One second gives 64 times.
"""

import functools
import math
import os
import wave

import jax
import jax.numpy as jnp
import numpy as np

from ocjax import _extras
from ocjax._checks import InputError

RATE = 16000  # Samples a second.
FRAME, HOP = 0.050, 0.015  # Seconds of sound in a column, and between two columns.
LOWEST = 50.0  # Lowest frequency in Hz; mostly wind and handling are below it.
RANGE = 60.0  # Decibels from black to white.

_FLOOR = 1e-14  # Power, -140 dB, that float32 cannot tell from silence.
_LOUDEST = 4.0  # Bound that decoders stay below, and other ranges, as int16, do not.
_CHUNK = 8  # Windows at a time, so that one compiled program serves any number.


def read(path: str | os.PathLike, rate: int = RATE) -> np.ndarray:
    """Reads a sound file as one channel, the mean of its channels.

    WAV files with integers of 8, 16, 24 or 32 bits need nothing else. Other files, such
    as WAV with floats, FLAC and Ogg, need soundfile. WAV and FLAC tell how long they
    should be; of others, such as Ogg and MP3, a file cut short is not noticed.

    Args:
      path: sound file.
      rate: samples a second to return, resampled if the file has others.

    Returns:
      Samples `float32 [T]` in [-1, 1], clipped where they are beyond.

    Raises:
      InputError: there is no such file; it is empty, cut short or no sound; its range
        is not [-1, 1]; or soundfile is needed and not installed.
    """
    name = os.fspath(path)
    try:
        samples, file_rate = _read_wave(name)
    except FileNotFoundError:
        raise InputError(f"There is no file {name}.") from None
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error}") from error
    except EOFError:
        raise InputError(f"{name} is cut short: it ends within its header.") from None
    except wave.Error as error:
        samples, file_rate = _read_other(name, str(error))
    if not samples.size:
        raise InputError(f"{name} has no samples.")
    if not np.abs(samples).max() <= _LOUDEST:  # NaN is refused by this form, too.
        raise InputError(f"{name} has samples that are not in [-1, 1].")
    mono = samples.mean(axis=1, dtype=np.float32)
    return np.clip(resample(mono, file_rate, rate), -1.0, 1.0)


def resample(waveform: np.ndarray, before: int, after: int) -> np.ndarray:
    """Resamples a sound, by SciPy's polyphase filter.

    Args:
      waveform: samples `float32 [T]`.
      before: samples a second of `waveform`.
      after: samples a second to return.

    Returns:
      Samples `float32 [ceil(T * after / before)]`.
    """
    if before == after:
        return waveform
    from scipy import signal

    common = math.gcd(before, after)
    return signal.resample_poly(waveform, after // common, before // common)


def windows(waveform: np.ndarray, length: int, hop: int) -> np.ndarray:
    """Cuts a waveform into windows, and leaves out the rest at its end.

    Args:
      waveform: samples, shape `[T]`.
      length: samples of a window, at most T.
      hop: samples between the starts of two windows, at least 1.

    Returns:
      Windows `[(T - length) // hop + 1, length]`, a view.

    Raises:
      ValueError: `hop` is below 1, or the waveform too short.
    """
    if hop < 1 or not 1 <= length <= len(waveform):
        raise ValueError(
            f"`hop` (={hop}) must be at least 1, and `length` (={length}) at least 1 "
            f"and at most that of the waveform, {len(waveform)}."
        )
    return np.lib.stride_tricks.sliding_window_view(waveform, length)[::hop]


def log_mel(waveforms: np.ndarray, rate: int = RATE, bins: int = 64) -> np.ndarray:
    """Power in bands of frequency, in dB.

    Frames are `FRAME` long and start every `HOP`, the first with the waveform and the
    last within it: there is no padding. At 16 kHz that is 800 samples every 240, and a
    second has 64 frames. Each is multiplied by a periodic Hann window, padded with
    zeros to a power of two, here 1024, and transformed; a sine of amplitude 1 has power
    1 at its frequency.

    Bands are triangles of height 1 whose corners are equally far apart, from `LOWEST`
    to half the rate, on the mel scale `2595 log10(1 + f / 700 Hz)`.

    Args:
      waveforms: samples `float32 [N, T]`, T at least a frame.
      rate: samples a second.
      bins: number of bands.

    Returns:
      Powers `float32 [N, bins, frames]` in dB, at least -140, low frequencies first.

    Raises:
      ValueError: the waveforms are too short, or a band is so narrow that it has no
        frequency of the transform.

    References:
      O'Shaughnessy, Speech Communication: Human and Machine, 1987 (the mel scale).
    """
    waveforms = np.asarray(waveforms, np.float32)
    frame, hop, _ = _sizes(rate)
    if waveforms.ndim != 2 or waveforms.shape[1] < frame:
        raise ValueError(
            f"Expected `waveforms` of shape [N, T] with T at least {frame}, got "
            f"{list(waveforms.shape)}."
        )
    count, length = waveforms.shape
    spectrograms = np.empty((count, bins, (length - frame) // hop + 1), np.float32)
    bank = mel_bands(rate, bins)
    for start in range(0, count, _CHUNK):
        chunk = waveforms[start : start + _CHUNK]
        # All chunks have one shape, so that the program is compiled once.
        padded = np.zeros((_CHUNK, length), np.float32)
        padded[: len(chunk)] = chunk
        # The CPU computes them, so that pictures have the same bits everywhere.
        with jax.default_device(jax.local_devices(backend="cpu")[0]):
            computed = _log_mel(padded, bank, rate)
        spectrograms[start : start + _CHUNK] = computed[: len(chunk)]
    return spectrograms


def mel_bands(rate: int, bins: int) -> np.ndarray:
    """Triangles of `log_mel`, `float32 [frequencies of the transform, bins]`."""
    _, _, size = _sizes(rate)
    to_mel = lambda hertz: 2595.0 * np.log10(1.0 + hertz / 700.0)
    corners = np.linspace(to_mel(LOWEST), to_mel(rate / 2), bins + 2)
    corners = 700.0 * (10.0 ** (corners / 2595.0) - 1.0)
    low, centre, high = corners[:-2], corners[1:-1], corners[2:]
    hertz = np.fft.rfftfreq(size, 1.0 / rate)[:, None]
    rising, falling = (hertz - low) / (centre - low), (high - hertz) / (high - centre)
    bank = np.maximum(np.minimum(rising, falling), 0.0)
    if not bank.any(axis=0).all():
        raise ValueError(f"`bins` (={bins}) are too many for {rate} samples a second.")
    return bank.astype(np.float32)


def to_images(spectrograms: np.ndarray) -> np.ndarray:
    """Draws log-mel spectrograms as pictures that do not tell how loud they are.

    White is the loudest point of the picture itself, and black is `RANGE` dB below it
    or lower. Digital silence is black.

    Args:
      spectrograms: powers in dB, shape `[N, bins, frames]`, as of `log_mel`.

    Returns:
      Pixels `uint8 [N, bins, frames, 1]`, low frequencies in the last rows.
    """
    loudest = spectrograms.max(axis=(1, 2), keepdims=True)
    bright = (spectrograms - loudest) / RANGE + 1.0
    silent = loudest < 10.0 * math.log10(2.0 * _FLOOR)
    bright = np.where(silent, 0.0, np.clip(bright, 0.0, 1.0))
    return np.round(255.0 * bright[:, ::-1, :, None]).astype(np.uint8)


def level(waveforms: np.ndarray) -> np.ndarray:
    """Root mean square in dB of full scale, `float32 [N]` of shape `[N, T]`.

    A square wave of amplitude 1 has 0 dB; silence has -140 dB.
    """
    power = np.mean(np.square(waveforms, dtype=np.float32), axis=1)
    return 10.0 * np.log10(power + np.float32(_FLOOR))


@functools.partial(jax.jit, static_argnames="rate")
def _log_mel(waveforms: jax.Array, bank: jax.Array, rate: int) -> jax.Array:
    frame, hop, size = _sizes(rate)
    starts = np.arange(0, waveforms.shape[1] - frame + 1, hop)
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(frame) / frame)
    # A sine's energy is half at its frequency and half at the negative one.
    weights = (hann / (hann.sum() / 2.0)).astype(np.float32)
    frames = waveforms[:, starts[:, None] + np.arange(frame)[None]]
    spectrum = jnp.fft.rfft(frames * weights[None, None], size)
    power = spectrum.real**2 + spectrum.imag**2
    bands = jnp.matmul(power, bank, precision="highest")
    return 10.0 * jnp.log10(bands + _FLOOR).swapaxes(1, 2)


def _sizes(rate: int) -> tuple[int, int, int]:
    """Samples of a frame, between two frames, and of the transform."""
    frame = round(FRAME * rate)
    return frame, round(HOP * rate), 1 << (frame - 1).bit_length()


def _read_wave(name: str) -> tuple[np.ndarray, int]:
    """Reads samples `float32 [T, channels]` and their rate.

    Raises:
      wave.Error: the file is no WAV file of integers.
    """
    with open(name, "rb") as file, wave.open(file) as sound:
        channels, width, rate, promised, *_ = sound.getparams()
        raw = sound.readframes(promised)
    if width > 4 or rate < 1:
        raise wave.Error(f"{width} bytes a sample, {rate} samples a second")
    count = len(raw) // (width * channels)
    if count < promised:
        raise InputError(f"{name} is cut short: it has {count} of {promised} samples.")
    return _integers(raw, width).reshape(-1, channels), rate


def _integers(raw: bytes, width: int) -> np.ndarray:
    """Turns little-endian integers of `width` bytes into floats in [-1, 1)."""
    if width == 1:  # WAV's integers of one byte alone are unsigned.
        return np.frombuffer(raw, np.uint8).astype(np.float32) / 128.0 - 1.0
    if width != 3:
        integers = np.frombuffer(raw, f"<i{width}")
        return integers.astype(np.float32) / 2.0 ** (8 * width - 1)
    padded = np.zeros((len(raw) // 3, 4), np.uint8)
    padded[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
    return padded.view("<i4")[:, 0].astype(np.float32) / 2.0**31


def _read_other(name: str, reason: str) -> tuple[np.ndarray, int]:
    """Reads as `_read_wave`, by soundfile, which is needed for a `reason`."""
    try:
        import soundfile  # pyright: ignore[reportMissingImports]
    except (ImportError, OSError):  # OSError where it finds no libsndfile.
        raise InputError(
            f"{name} is no WAV file of integers ({reason}); to read other sounds: "
            f"{_extras.install('audio')}"
        ) from None
    _check_whole(name)
    try:
        return soundfile.read(name, dtype="float32", always_2d=True)
    except RuntimeError as error:
        raise InputError(f"{name} is no readable sound: {error}") from error


def _check_whole(name: str) -> None:
    """Raises `InputError` if a WAV file has less sound than its header promises.

    Libsndfile would take what there is.
    """
    with open(name, "rb") as file:
        if file.read(12)[:4] != b"RIFF":
            return
        while len(head := file.read(8)) == 8:
            promised = int.from_bytes(head[4:], "little")
            if head[:4] == b"data":
                size = os.path.getsize(name) - file.tell()
                if size < promised:
                    raise InputError(
                        f"{name} is cut short: it has {size} of {promised} bytes of "
                        "sound."
                    )
                return
            file.seek(promised + promised % 2, os.SEEK_CUR)  # Chunks are of even size.
