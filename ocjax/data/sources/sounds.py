"""Acoustic scenes, and sound events that do not belong there, as spectrograms.

A detector hears one scene without events, and is tested on windows of other recordings
of that scene: as they are, and with an event mixed in. There are two sources:

* `dcase2017_task2`: the development set of DCASE 2017 task 2, TUT Rare Sound Events
  2017: 15 scenes; babies' cries, breaking glass and gun shots.
* `sound_scenes`: few and short clips of six scenes, cries and gun shots.

A picture is a second of sound at 16 kHz, as `ocjax.data.sources.audio` draws it, which
does not tell its level: mixing changes that, and it would be an easy sign. The level is
kept as the baseline `energy`.

References:
  Mesaros et al., DCASE 2017 challenge setup: tasks, datasets and baseline system, 2017.
"""

import contextlib
import csv
import os
import pathlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ocjax import _checks, _extras
from ocjax._checks import InputError
from ocjax.data import cache, files, images, prepared
from ocjax.data.dataset import Dataset
from ocjax.data.sources import audio
from ocjax.data.sources.mixing import SCALE, Mixing, Recipe, anomalous, mix, recipes

SECONDS = 1.0  # Length of a window.

SCENES = (
    "beach", "bus", "cafe/restaurant", "car", "city_center", "forest_path",
    "grocery_store", "home", "library", "metro_station", "office", "park",
    "residential_area", "train", "tram",
)  # fmt: skip
EVENTS = ("babycry", "glassbreak", "gunshot")
DCASE = "TUT-rare-sound-events-2017-development"

_SOURCE = "data/source_data"
_TABLES = ("bgs_devtrain.yaml", "bgs_devtest.yaml", "events_devtest.yaml")
_EXPECTED = (
    f"Expected {_SOURCE}/ with bgs/audio/*.wav, events/{{{','.join(EVENTS)}}}/*.wav "
    f"and cv_setup/{{{','.join(_TABLES)}}}, as the archives "
    f"{DCASE}.source_data_bgs_and_cvsetup.1.zip to .8.zip and .source_data_events.zip "
    "have them; they are at https://zenodo.org/record/401395"
)
_COLUMNS = ("file", "role", "class", "split", "seconds", "freesound_id")

_ARRAYS = ("images", "energy", "labels", "paths", "clips")
_MAKING = 2  # Part of the cache's key, to be raised when `_make` changes arrays.


class Background(NamedTuple):
    """A clip of a scene without events."""

    path: pathlib.Path
    scene: str
    recording: str  # Name of the recording that it was cut from.


class Event(NamedTuple):
    """An event within a sound file."""

    path: pathlib.Path
    start: float  # Start in seconds.
    end: float  # End in seconds.


class Corpus(NamedTuple):
    """Sound files of a data set."""

    root: pathlib.Path  # Folder that names of images are relative to.
    scenes: tuple[str, ...]
    train: list[Background]
    test: list[Background]
    events: dict[str, list[Event]]  # Events of the test part, by kind.
    tables: list[pathlib.Path]  # Files that all this was read from.


class Mixture(NamedTuple):
    """An event that is to be mixed into a background."""

    kind: str
    event: Event
    waveform: np.ndarray  # float32 [L], the event alone.
    recipe: Recipe


class Sound(NamedTuple):
    """A background, or a mixture, to be cut into windows."""

    waveform: np.ndarray  # float32 [T], at `audio.RATE`.
    name: str
    class_name: str
    event: tuple[float, float] | None  # Onset and length in seconds.


DCASE_MIXING = Mixing(mixtures=500, probability=0.5, seconds=30.0, rate=44100)
CLIPS_MIXING = Mixing(mixtures=144, probability=1.0, seconds=4.0, rate=audio.RATE)


def dcase2017_task2(*, data_dir: str | os.PathLike | None, size: int) -> Dataset:
    """Reads the 15 scenes of DCASE 2017 task 2, also mixed with one of three events.

    Backgrounds of the official training subset train. Those of the test subset test,
    and 750 mixtures of them with events, drawn by the official recipe and seed; only
    the windows of a mixture with enough of the event are taken, see
    `mixing.anomalous`. Windows start every half second.

    Files, their fields and the recipe are as the data set's README and the public code
    that reads it say. This was not tried on the data itself, so it is unverified that
    the mixtures are the published ones; those are resampled by another filter.

    Args:
      data_dir: folder with `TUT-rare-sound-events-2017-development`, or that folder
        itself; in it are `data/source_data/bgs/audio/*.wav`,
        `.../events/<event>/*.wav` and `.../cv_setup/*.yaml`.
      size: height and width of the images, which are resized if it is not 64.

    Returns:
      Grey images. Classes are the scenes, then `<scene>+<event>`; groups are the
      recordings that backgrounds were cut from, each of another place; paths
      "<background>+<event>@<ratio>dB#<second>", or without an event.

    Raises:
      InputError: the data set or one of its files is missing or cannot be read.
    """
    note = (
        "Papers do not say what pictures they take; here they are log-mel spectrograms "
        "of 1 s. Normal test images are windows of all test backgrounds, each once. "
        "The published mixtures are not read, but drawn anew by the official recipe."
    )
    corpus = _official(data_dir)
    return _dataset("dcase2017_task2", corpus, DCASE_MIXING, (0.5, 0.5), size, note)


def sound_scenes(*, data_dir: str | os.PathLike | None, size: int) -> Dataset:
    """Reads scenes in clips of 4 s, also mixed with a gun shot or a baby's cry.

    Training backgrounds train, where windows start every eighth of a second. Test
    backgrounds test, and 144 mixtures of each kind of test events with them, drawn by
    the official recipe of DCASE 2017 task 2 but for the length; windows start every
    half second, and only those of a mixture with enough of the event are taken, see
    `mixing.anomalous`. Training events are not used.

    Args:
      data_dir: folder with `audio16k/metadata.csv`, which names the files, and has
        their role (background or event), class, split (train or test), seconds, and
        `freesound_id`.
      size: height and width of the images, which are resized if it is not 64.

    Returns:
      Grey images. Classes are the scenes, then `<scene>+<event>`; groups are the
      recordings at freesound.org that backgrounds were cut from; paths
      "<background>+<event>@<ratio>dB#<second>", or without an event.

    Raises:
      InputError: the data set or one of its files is missing or cannot be read, or a
        class has no clips of a part.
    """
    corpus = _clips(prepared.data_folder(data_dir) / "audio16k")
    note = (
        f"Not the data of DCASE 2017 task 2, only made alike: {len(corpus.scenes)} "
        f"backgrounds in place of its 15 scenes, {len(corpus.events)} kinds of events "
        f"in place of 3 ({', '.join(corpus.events)}; no breaking glass), clips of 4 s "
        f"in place of 30 s, and {len(corpus.train)} of them to train all detectors in "
        "place of 844."
    )
    return _dataset("sound_scenes", corpus, CLIPS_MIXING, (0.125, 0.5), size, note)


def _dataset(
    name: str,
    corpus: Corpus,
    mixing: Mixing,
    hops: tuple[float, float],
    size: int,
    note: str,
) -> Dataset:
    """Makes windows, every `hops` seconds of training and test clips, by the cache."""
    _check(corpus)
    clips = [*corpus.train, *corpus.test]
    events = [event for kind in corpus.events.values() for event in kind]
    paths = sorted({clip.path for clip in [*clips, *events]})
    key = cache.key([*corpus.tables, *paths], name, size, _MAKING)
    arrays = cache.cached(key, _ARRAYS, lambda: _make(corpus, mixing, hops, size))
    if missing := set(range(len(_classes(corpus)))) - set(arrays["labels"].tolist()):
        raise InputError(
            f"{corpus.root}: {_classes(corpus)[min(missing)]} has no windows; there "
            "are too few test clips."
        )
    _, groups = np.unique([clip.recording for clip in clips], return_inverse=True)
    scenes = np.array([corpus.scenes.index(clip.scene) for clip in clips])
    return Dataset(
        name,
        images=arrays["images"],
        labels=arrays["labels"],
        official_test=arrays["clips"] >= len(corpus.train),
        class_names=_classes(corpus),
        groups=groups[arrays["clips"]],
        scenes=scenes[arrays["clips"]],
        paths=tuple(arrays["paths"].tolist()),
        baselines={"energy": arrays["energy"]},
        note=note,
    )


def _classes(corpus: Corpus) -> tuple[str, ...]:
    mixed = (f"{scene}+{kind}" for scene in corpus.scenes for kind in corpus.events)
    return (*corpus.scenes, *mixed)


def _check(corpus: Corpus) -> None:
    """Raises `InputError` if a class has no clips, or a recording is in both parts."""
    if not corpus.scenes or not corpus.events:
        absent = "events" if corpus.scenes else "backgrounds"
        raise InputError(f"{corpus.root}: there are no {absent}.")
    for part, clips in (("training", corpus.train), ("test", corpus.test)):
        if missing := set(corpus.scenes) - {clip.scene for clip in clips}:
            raise InputError(
                f"{corpus.root}: there is no {part} background of {min(missing)!r}."
            )
    for kind, events in corpus.events.items():
        if not events:
            raise InputError(f"{corpus.root}: there is no test event {kind!r}.")
    train = {clip.recording for clip in corpus.train}
    if both := train & {clip.recording for clip in corpus.test}:
        raise InputError(
            f"{corpus.root}: recording {min(both)} is in the training and in the test "
            "part."
        )


def _make(
    corpus: Corpus, mixing: Mixing, hops: tuple[float, float], size: int
) -> cache.Arrays:
    """Makes the arrays `_ARRAYS`; `clips` counts training clips first."""
    # The first file that cannot be read ends this.
    cut = lambda event: _cut(event, mixing.rate)
    parts = {
        kind: list(files.threaded(cut, events))
        for kind, events in corpus.events.items()
    }
    mixtures = _mixtures(corpus, parts, mixing)
    jobs = [(clip, [], hops[0]) for clip in corpus.train]
    jobs += [(clip, mixtures[i], hops[1]) for i, clip in enumerate(corpus.test)]

    def windows(job) -> cache.Arrays:
        clip, clip_mixtures, hop = job
        sounds = _sounds(clip, clip_mixtures, corpus.root, mixing)
        return _windows(sounds, _classes(corpus), hop, size)

    clips = list(files.threaded(windows, jobs))
    arrays = {name: np.concatenate([x[name] for x in clips]) for name in clips[0]}
    counts = [len(clip["labels"]) for clip in clips]
    return arrays | {"clips": np.repeat(np.arange(len(clips)), counts)}


def _mixtures(
    corpus: Corpus, parts: Mapping[str, Sequence[np.ndarray]], mixing: Mixing
) -> Mapping[int, list[Mixture]]:
    """Draws mixtures, by the index of their test background; `parts` are all events."""
    lengths = {
        kind: [event.end - event.start for event in events]
        for kind, events in corpus.events.items()
    }
    mixtures = defaultdict(list)
    for kind, drawn in recipes(lengths, len(corpus.test), mixing).items():
        for recipe in drawn:
            if (i := recipe.event) is not None:
                event, part = corpus.events[kind][i], parts[kind][i]
                mixtures[recipe.background].append(Mixture(kind, event, part, recipe))
    return mixtures


def _windows(
    sounds: Iterator[Sound], classes: Sequence[str], hop: float, size: int
) -> cache.Arrays:
    """Makes the arrays `_ARRAYS` but `clips`."""
    length, step = round(SECONDS * audio.RATE), round(hop * audio.RATE)
    waveforms, labels, paths = [], [], []
    for sound in sounds:
        parts = audio.windows(sound.waveform, length, step)
        starts = np.arange(len(parts)) * hop
        if sound.event is not None:
            enough = anomalous(starts, *sound.event, SECONDS)
            parts, starts = parts[enough], starts[enough]
        waveforms.append(parts)
        labels += [classes.index(sound.class_name)] * len(parts)
        paths += [f"{sound.name}#{start:g}" for start in starts]
    waveforms = np.concatenate(waveforms)
    pictures = audio.to_images(audio.log_mel(waveforms))
    return {
        "images": images.resize(pictures, size),
        "energy": audio.level(waveforms),
        "labels": np.array(labels, np.int64),
        "paths": np.array(paths),
    }


def _sounds(
    clip: Background,
    mixtures: Sequence[Mixture],
    root: pathlib.Path,
    mixing: Mixing,
) -> Iterator[Sound]:
    """Yields a background without and with events."""
    background = audio.read(clip.path, mixing.rate)
    if len(background) < SECONDS * mixing.rate:
        raise InputError(
            f"{clip.path} lasts {len(background) / mixing.rate:.2f} s, less than a "
            f"window of {SECONDS:g} s."
        )
    ready = lambda waveform: audio.resample(waveform, mixing.rate, audio.RATE)
    name = clip.path.relative_to(root).as_posix()
    yield Sound(ready(SCALE * background), name, clip.scene, None)
    for kind, event, part, recipe in mixtures:
        onset = int(recipe.onset * mixing.rate)
        try:
            mixture = mix(background, part, recipe.ebr, onset)
        except ValueError as error:
            raise InputError(f"{event.path} in {clip.path}: {error}") from error
        event_name = event.path.relative_to(root).as_posix()
        yield Sound(
            ready(mixture),
            f"{name}+{event_name}@{recipe.ebr:g}dB",
            f"{clip.scene}+{kind}",
            (recipe.onset, event.end - event.start),
        )


def _cut(event: Event, rate: int) -> np.ndarray:
    whole = audio.read(event.path, rate)
    part = whole[int(event.start * rate) : int(event.end * rate)]
    if not part.any():
        raise InputError(
            f"{event.path} has no sound from {event.start:g} s to {event.end:g} s, "
            "where an event should be."
        )
    return part.copy()  # A view would keep the whole, maybe minutes, in memory.


def _official(data_dir: str | os.PathLike | None) -> Corpus:
    """Finds the development set of DCASE 2017 task 2, as it is unpacked."""
    release = prepared.release("dcase2017_task2", data_dir, _SOURCE, _EXPECTED, DCASE)
    root = release / _SOURCE
    tables = [_existing(root / "cv_setup" / name) for name in _TABLES]
    train, test = map(_official_backgrounds, tables[:2])
    events = _official_events(tables[2])
    return Corpus(
        root=root, scenes=SCENES, train=train, test=test, events=events, tables=tables
    )


def _official_backgrounds(table: pathlib.Path) -> list[Background]:
    clips = []
    with _fields(table, "a list with `filepath` and `classname` each"):
        for row in _yaml(table):
            path = table.parents[1] / "bgs" / row["filepath"]
            scene = _checks.one_of("scene", row["classname"], SCENES)
            # A name is like a001_30_60.wav, the seconds 30 to 60 of recording a001.
            clips.append(Background(_existing(path), scene, path.name.split("_")[0]))
    return clips


def _official_events(table: pathlib.Path) -> dict[str, list[Event]]:
    events = {kind: [] for kind in EVENTS}
    with _fields(table, "of each kind a list with `audio_filename` and `segment` each"):
        rows = _yaml(table)
        for kind in EVENTS:
            for row in rows[kind]:
                path = table.parents[1] / "events" / kind / row["audio_filename"]
                start, end = map(float, row["segment"])
                events[kind].append(Event(_existing(path), start, end))
    return events


def _existing(path: pathlib.Path) -> pathlib.Path:
    if not path.is_file():
        raise InputError(f"There is no file {path}. {_EXPECTED}")
    return path


@contextlib.contextmanager
def _fields(table: pathlib.Path, expected: str) -> Iterator[None]:
    """Names the table in errors."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{table}: {error}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{table}: expected {expected}.") from error


def _yaml(path: pathlib.Path) -> Any:
    try:
        import yaml
    except ImportError:
        raise InputError(f"It needs PyYAML: {_extras.install('audio')}") from None

    class Loader(yaml.SafeLoader):
        """Reads fields that Python 2 wrote, with tags such as `!!python/unicode`."""

    def untagged(loader: Loader, _: str, node: yaml.Node) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return loader.construct_scalar(node)
        if isinstance(node, yaml.SequenceNode):
            return loader.construct_sequence(node, deep=True)
        assert isinstance(node, yaml.MappingNode)
        return loader.construct_mapping(node, deep=True)

    Loader.add_multi_constructor("tag:yaml.org,2002:python/", untagged)
    try:
        return yaml.load(path.read_bytes(), Loader)
    except yaml.YAMLError as error:
        raise InputError(
            " ".join(f"It is no readable YAML: {error}".split())
        ) from error


def _clips(root: pathlib.Path) -> Corpus:
    """Finds the clips that `metadata.csv` names."""
    table = root / "metadata.csv"
    try:
        lines = table.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"Data set 'sound_scenes' is not there: cannot read {table} ({error}). "
            f"Expected a table with the columns {', '.join(_COLUMNS)} beside the files "
            "that it names."
        ) from error
    backgrounds = {"train": [], "test": []}
    events: dict[str, dict[str, list[Event]]] = {}
    for number, row in enumerate(csv.DictReader(lines), 2):
        try:
            path, split, kind = root / row["file"], row["split"], row["class"]
            if row["role"] == "background":
                clip = Background(path, kind, row["freesound_id"])
                backgrounds[split].append(clip)
            elif row["role"] == "event":
                event = Event(path, 0.0, float(row["seconds"]))
                events.setdefault(kind, {"train": [], "test": []})[split].append(event)
            else:
                raise KeyError
        except (KeyError, TypeError, ValueError):
            raise InputError(
                f"{table}, line {number}: expected {', '.join(_COLUMNS)}; role is "
                f"background or event, and split train or test. Got {row}."
            ) from None
        if not path.is_file():
            raise InputError(f"{table}, line {number}: there is no file {path}.")
    every = [*backgrounds["train"], *backgrounds["test"]]
    return Corpus(
        root=root,
        scenes=tuple(sorted({clip.scene for clip in every})),
        train=backgrounds["train"],
        test=backgrounds["test"],
        events={kind: events[kind]["test"] for kind in sorted(events)},
        tables=[table],
    )
