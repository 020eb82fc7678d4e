"""Sound files made into pictures a second: a plain loop against ocjax.

    python benchmarks/spectrograms.py

The loop does what scripts do: it reads a file with SciPy, takes one window after the
other, calls `scipy.signal.stft`, multiplies by the bands and normalizes. "SciPy, whole
files" is the same with one transform of all windows of a file. ocjax is measured as its
sources use it, several files at a time in threads, and with one thread. All of them
give the same pictures, which is checked first.
"""

import pathlib
import tempfile
import wave
from collections.abc import Callable, Iterable

import interleave
import numpy as np
import scipy.fft
import threadpoolctl
from absl import app, flags
from scipy import signal
from scipy.io import wavfile

from ocjax.data import files
from ocjax.data.sources import audio

ROUNDS = flags.DEFINE_integer("rounds", 7, "Turns of each candidate.")
SECONDS = flags.DEFINE_float("seconds", 2.0, "Least length of a turn.")
FILES = flags.DEFINE_integer("files", 48, "Files to read.")
LENGTH = flags.DEFINE_float("length", 4.0, "Seconds of a file.")
HOP = flags.DEFINE_float("hop", 0.125, "Seconds between two windows.")
NAME = flags.DEFINE_string("name", "spectrograms", "Of the file with the result.")

RATE = audio.RATE
FRAME, STEP, SIZE = 800, 240, 1024  # Samples; the last of the transform.


def write(folder: pathlib.Path) -> list[pathlib.Path]:
    """Files of noise, 16 bits, one channel."""
    rng, paths = np.random.default_rng(0), []
    for i in range(FILES.value):
        samples = rng.normal(size=round(LENGTH.value * RATE)) * 3000
        paths.append(folder / f"{i}.wav")
        with wave.open(str(paths[-1]), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes(np.clip(samples, -32768, 32767).astype("<i2").tobytes())
    return paths


def to_picture(bands: np.ndarray) -> np.ndarray:
    """Power `[..., bins, frames]` as `uint8`, the loudest white, low tones below."""
    decibels = 10.0 * np.log10(bands + 1e-14)
    decibels -= decibels.max(axis=(-2, -1), keepdims=True)
    bright = np.clip(decibels / audio.RANGE + 1.0, 0.0, 1.0)
    return np.round(255.0 * bright[..., ::-1, :]).astype(np.uint8)


def plain_loop(path: pathlib.Path, bank: np.ndarray) -> list[np.ndarray]:
    """One window after another."""
    rate, samples = wavfile.read(path)
    waveform = samples.astype(np.float32) / 32768.0
    pictures, length = [], RATE
    for start in range(0, len(waveform) - length + 1, round(HOP.value * rate)):
        _, _, spectrum = signal.stft(
            waveform[start : start + length],
            rate,
            "hann",
            FRAME,
            FRAME - STEP,
            SIZE,
            boundary=None,  # pyright: ignore[reportArgumentType]  # SciPy allows it.
            padded=False,
        )
        # SciPy divides by the window's sum; half of a sine is at the frequency.
        pictures.append(to_picture(bank.T @ np.abs(2.0 * spectrum) ** 2))
    return pictures


def scipy_files(path: pathlib.Path, bank: np.ndarray) -> np.ndarray:
    """All windows of a file at once."""
    parts = audio.windows(audio.read(path), RATE, round(HOP.value * RATE))
    hann = np.asarray(signal.get_window("hann", FRAME), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(parts, FRAME, axis=1)[:, ::STEP]
    weighted = frames * (hann / (hann.sum() / 2.0))
    spectrum = np.asarray(scipy.fft.rfft(weighted, SIZE), np.complex64)
    power = spectrum.real**2 + spectrum.imag**2
    return to_picture((power @ bank).swapaxes(1, 2))


def ours(path: pathlib.Path) -> np.ndarray:
    """As the sources do it."""
    parts = audio.windows(audio.read(path), RATE, round(HOP.value * RATE))
    return audio.to_images(audio.log_mel(parts))[..., 0]


def check(
    candidates: list[Callable[[pathlib.Path], Iterable[np.ndarray]]],
    path: pathlib.Path,
):
    """Raises unless all give the same pictures, but for rounding to the next level."""
    first, *others = (np.stack(list(make(path))).astype(int) for make in candidates)
    for other in others:
        np.testing.assert_allclose(other, first, atol=1)


def main(_):
    """Measures, prints and writes the result."""
    bank = audio.mel_bands(RATE, 64)
    loop, whole = (
        lambda path, make=make: make(path, bank) for make in (plain_loop, scipy_files)
    )
    # BLAS with threads makes SciPy ten times slower where other programs run, and no
    # faster elsewhere: the matrices are small. JAX does not use it.
    limits = threadpoolctl.threadpool_limits(1, "blas")
    with limits, tempfile.TemporaryDirectory() as folder:
        paths = write(pathlib.Path(folder))
        check([loop, whole, ours], paths[0])
        rates = interleave.interleaved(
            {
                "plain loop": lambda: len([loop(path) for path in paths]),
                "SciPy, whole files": lambda: len([whole(path) for path in paths]),
                "ocjax, one thread": lambda: len([ours(path) for path in paths]),
                "ocjax": lambda: len(files.every(ours, paths)),
            },
            rounds=ROUNDS.value,
            seconds=SECONDS.value,
        )
    rows = interleave.compare(rates, baselines=("plain loop",))
    windows = int((LENGTH.value - 1.0) / HOP.value) + 1
    caption = (
        f"Files of {LENGTH.value:g} s at 16 kHz, read and made into {windows} log-mel "
        "spectrograms each, 64x64"
    )
    named = [
        {{"images/s": "files/s"}.get(key, key): value for key, value in row.items()}
        for row in rows
    ]
    interleave.write(
        NAME.value,
        "Spectrograms",
        {caption: named},
        rates=rates,
        settings={
            "rounds": ROUNDS.value,
            "seconds": SECONDS.value,
            "files": FILES.value,
        },
    )


if __name__ == "__main__":
    app.run(main)
