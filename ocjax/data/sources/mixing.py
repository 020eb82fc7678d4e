"""Sound events mixed into backgrounds, as DCASE 2017 task 2 does.

References:
  Mesaros et al., DCASE 2017 challenge setup: tasks, datasets and baseline system, 2017.
  The way of mixing is that of its data set's own programme and README.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ocjax._checks import InputError

SCALE = 0.2  # Factor on every background and mixture, against clipping.


class Mixing(NamedTuple):
    """Number of mixtures of each kind of event, and settings of their drawing."""

    mixtures: int
    probability: float  # Share of the mixtures that have an event.
    seconds: float  # Length of a mixture.
    rate: int  # Samples a second while mixing.
    ebrs: tuple[float, ...] = (-6.0, 0.0, 6.0)  # Event-to-background ratios in dB.
    seed: int = 42


class Recipe(NamedTuple):
    """A mixture; without an event it has only a background."""

    background: int
    event: int | None = None
    onset: float = 0.0  # Start of the event in seconds.
    ebr: float = -np.inf  # Event-to-background ratio in dB.


def mix(
    background: np.ndarray, event: np.ndarray, ebr: float, onset: int
) -> np.ndarray:
    """Mixes an event into a background, as DCASE 2017 task 2 officially does.

    The event is scaled until its root mean square is `ebr` dB above that of the
    background under it. The sum is scaled by `SCALE`; should it reach 1 even so, it is
    divided by its largest absolute value.

    Args:
      background: samples, shape `[T]`.
      event: samples, shape `[L]`, not silent.
      ebr: event-to-background ratio in dB.
      onset: sample of the background where the event begins, at most `T - L`.

    Returns:
      Samples of shape `[T]`.

    Raises:
      ValueError: the event is empty or silent, or reaches beyond the background.
    """
    end = onset + len(event)
    if not event.any() or not 0 <= onset <= len(background) - len(event):
        raise ValueError(
            f"Expected an event that is not silent and within the {len(background)} "
            f"samples of the background, got one from {onset} to {end}."
        )
    gain = 10.0 ** (ebr / 20.0) * _rms(background[onset:end]) / _rms(event)
    mixture = background.copy()
    mixture[onset:end] += gain * event
    mixture *= SCALE
    peak = np.abs(mixture).max()
    return mixture / peak if peak >= 1.0 else mixture


def recipes(
    lengths: Mapping[str, Sequence[float]], backgrounds: int, mixing: Mixing
) -> dict[str, list[Recipe]]:
    """Draws mixtures as the official programme of DCASE 2017 task 2 does.

    For each kind of event in turn, `mixing.mixtures` backgrounds and, for a share of
    `mixing.probability` of them, events are drawn with replacement. Onsets are uniform
    where the whole event fits, and so are ratios among `mixing.ebrs`.

    Args:
      lengths: seconds of each event, by kind.
      backgrounds: number of backgrounds, of `mixing.seconds` each.
      mixing: settings, with the seed on which alone all choices depend.

    Returns:
      Mixtures by kind, those with an event and those without shuffled.

    Raises:
      InputError: an event is longer than a mixture.
    """
    # This is the official generator of random numbers, with its calls in their order.
    rng, recipes_by_kind = np.random.RandomState(mixing.seed), {}
    for kind, seconds in lengths.items():
        if max(seconds) > mixing.seconds:
            raise InputError(
                f"An event {kind!r} of {max(seconds):g} s does not fit into "
                f"{mixing.seconds:g} s."
            )
        present = round(mixing.mixtures * mixing.probability)
        events = rng.choice(len(seconds), present)
        behind = rng.choice(backgrounds, mixing.mixtures)
        has_event = rng.permutation(np.arange(mixing.mixtures) < present)
        # An event drawn twice keeps its last onset, as in the official programme.
        onsets = {i: (mixing.seconds - seconds[i]) * rng.rand() for i in events}
        ebrs = rng.choice(mixing.ebrs, present)
        chosen = zip(events, ebrs, strict=True)
        recipes_by_kind[kind] = []
        for background, present_here in zip(behind.tolist(), has_event, strict=True):
            recipe = Recipe(background)
            if present_here:
                i, ebr = next(chosen)
                recipe = Recipe(background, int(i), float(onsets[i]), float(ebr))
            recipes_by_kind[kind].append(recipe)
    return recipes_by_kind


def anomalous(
    starts: np.ndarray, onset: float, length: float, window: float
) -> np.ndarray:
    """Marks windows with enough of an event: half of the window, or of the event.

    Args:
      starts: starts of the windows in seconds, shape `[n]`.
      onset: start of the event, in seconds.
      length: length of the event, in seconds.
      window: length of a window, in seconds.

    Returns:
      Marks, `bool [n]`.
    """
    begin = np.maximum(starts, onset)
    overlap = np.minimum(starts + window, onset + length) - begin
    return overlap >= min(window, length) / 2.0


def _rms(samples: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))
