import math

import numpy as np
import pytest

from ocjax._checks import InputError
from ocjax.data.sources import mixing, sounds


def rms(samples):
    return math.sqrt(np.mean(np.asarray(samples, np.float64) ** 2))


def test_mixing_by_hand():
    background = np.array([0.1, -0.1, 0.2, -0.2, 0.5], np.float32)
    event = np.array([0.4, 0.4], np.float32)
    # Under the event the background has 0.2, so at 0 dB the event gets it too.
    found = mixing.mix(background, event, 0.0, 2)
    np.testing.assert_allclose(found, 0.2 * np.array([0.1, -0.1, 0.4, 0, 0.5]))
    # Twice that at 20 log10(2) dB.
    found = mixing.mix(background, event, 20 * math.log10(2), 2)
    np.testing.assert_allclose(
        found, 0.2 * np.array([0.1, -0.1, 0.6, 0.2, 0.5]), rtol=1e-6
    )
    np.testing.assert_array_equal(event, np.float32(0.4))  # As it was.


@pytest.mark.parametrize("ebr", [-6.0, 0.0, 6.0])
def test_an_event_gets_its_ratio_to_what_is_under_it(ebr):
    rng = np.random.default_rng(0)
    background = rng.normal(size=2000) * np.linspace(0.01, 1, 2000)
    event = 0.03 * rng.normal(size=500)
    mixed = mixing.mix(background, event, ebr, 700) / mixing.SCALE
    added = mixed - background
    np.testing.assert_allclose(added[:700], 0, atol=1e-12)
    np.testing.assert_allclose(added[1200:], 0, atol=1e-12)
    ratio = 20 * math.log10(rms(added[700:1200]) / rms(background[700:1200]))
    assert abs(ratio - ebr) < 1e-9
    np.testing.assert_allclose(added[700:1200] / event, added[700] / event[0])


def test_a_mixture_that_clips_is_divided_by_its_peak():
    background = np.array([0.5, -0.5, 0.5, -0.5])
    event = np.array([0.0, 1.0, 0.0, 0.0])  # RMS 0.5, as the background has.
    ebr = 20 * math.log10(5.5)
    # 0.2 (-0.5 + 5.5) = 1.0 clips; 0.2 (-0.5 + 5.49) does not.
    np.testing.assert_allclose(
        mixing.mix(background, event, ebr, 0), [0.1, 1.0, 0.1, -0.1]
    )
    louder = mixing.mix(background, event, 20 * math.log10(10.5), 0)
    np.testing.assert_allclose(louder, [0.05, 1.0, 0.05, -0.05])  # 2.0 / 2.
    below = mixing.mix(background, event, 20 * math.log10(5.49), 0)
    np.testing.assert_allclose(below, [0.1, 0.998, 0.1, -0.1])


@pytest.mark.parametrize(
    ("event", "onset"), [([0.0, 0.0], 0), ([], 0), ([1.0, 1.0], 3), ([1.0], -1)]
)
def test_an_event_that_cannot_be_mixed_raises(event, onset):
    with pytest.raises(ValueError, match="within the 4 samples of the background"):
        mixing.mix(np.ones(4), np.array(event), 0.0, onset)


def official_records(lengths, backgrounds, mixing):
    """The draws of the official programme, where events are records that are shared."""
    rng, found = np.random.RandomState(mixing.seed), {}
    for kind, seconds in lengths.items():
        records = [{"index": i, "length": length} for i, length in enumerate(seconds)]
        places = [{"index": i} for i in range(backgrounds)]
        events = rng.choice(
            np.array(records), int(round(mixing.mixtures * mixing.probability))
        )
        behind = rng.choice(np.array(places), mixing.mixtures)
        flags = np.hstack(
            [np.ones(len(events)), np.zeros(len(behind) - len(events))]
        ).astype(bool)
        flags = rng.permutation(flags)
        for event in events:
            event["onset"] = (mixing.seconds - event["length"]) * rng.rand()
        ebrs = np.full(len(behind), -np.inf)
        ebrs[flags] = rng.choice([-6, 0, 6], size=np.sum(flags))
        numbers = np.full(len(behind), -1)
        numbers[flags] = np.arange(len(events))
        found[kind] = [
            (place["index"], None, 0.0, -np.inf)
            if number < 0
            else (place["index"], events[number]["index"], events[number]["onset"], ebr)
            for place, number, ebr in zip(behind, numbers, ebrs, strict=True)
        ]
    return found


LENGTHS = {"cry": [2.0, 0.5, 5.1, 1.0], "glass": [0.3], "shot": [1.5, 4.4]}


@pytest.mark.parametrize("seed", [42, 7])
def test_recipes_are_those_of_the_official_programme(seed):
    how = sounds.DCASE_MIXING._replace(seed=seed)
    found = mixing.recipes(LENGTHS, 277, how)
    assert found == official_records(LENGTHS, 277, how)
    assert found == mixing.recipes(LENGTHS, 277, how)  # Of the seed alone.
    assert found != mixing.recipes(LENGTHS, 277, how._replace(seed=seed + 1))


def test_recipes_are_drawn_uniformly():
    how = sounds.DCASE_MIXING._replace(mixtures=6000)
    lengths = {"cry": np.linspace(0.5, 5, 3000).tolist()}
    drawn = mixing.recipes(lengths, 20, how)["cry"]
    with_event = [recipe for recipe in drawn if recipe.event is not None]
    assert len(with_event) == 3000
    shares = [
        recipe.onset / (30.0 - lengths["cry"][recipe.event])
        for recipe in drawn
        if recipe.event is not None
    ]
    counts, _ = np.histogram(shares, 10, (0.0, 1.0))
    assert counts.sum() == 3000 and abs(counts - 300).max() < 85
    _, counts = np.unique([recipe.ebr for recipe in with_event], return_counts=True)
    assert len(counts) == 3 and abs(counts - 1000).max() < 130
    counts = np.bincount([recipe.background for recipe in drawn], minlength=20)
    assert abs(counts - 300).max() < 85


def test_an_event_longer_than_a_mixture_raises():
    with pytest.raises(InputError, match="'cry' of 5.1 s does not fit into 4 s"):
        mixing.recipes(LENGTHS, 3, sounds.CLIPS_MIXING)


@pytest.mark.parametrize(
    ("onset", "length", "expected"),
    [
        # Of windows of 1 s that start at 0, 0.5, 1, ... 3.
        (1.0, 2.0, [0, 1, 1, 1, 1, 1, 0]),  # Half of the second and of the sixth.
        (1.1, 1.9, [0, 0, 1, 1, 1, 1, 0]),
        (0.75, 0.5, [1, 1, 1, 0, 0, 0, 0]),  # Short: half of the event is enough.
        (0.8, 0.5, [0, 1, 1, 0, 0, 0, 0]),
        (3.9, 0.1, [0, 0, 0, 0, 0, 0, 1]),
        (0.0, 4.0, [1, 1, 1, 1, 1, 1, 1]),
    ],
)
def test_windows_with_enough_of_an_event(onset, length, expected):
    starts = np.arange(7) * 0.5
    np.testing.assert_array_equal(
        mixing.anomalous(starts, onset, length, 1.0), expected
    )
