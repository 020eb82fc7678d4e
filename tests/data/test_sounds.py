import csv
import math
import pathlib
import re
import shutil
import sys
import wave
from typing import Any

import numpy as np
import pytest

from ocjax import _extras, data
from ocjax._checks import InputError
from ocjax.data.sources import audio, mixing, sounds

SIZE = 16
SHARED = pathlib.Path(__file__).parents[2].parent / "shared" / "data"
# As the official mixing, but short and few, and at the rate of the files here.
SHORT = mixing.Mixing(mixtures=200, probability=0.5, seconds=3.0, rate=16000)


def rms(samples):
    return math.sqrt(np.mean(np.asarray(samples, np.float64) ** 2))


@pytest.fixture(scope="module")
def clips():
    """Real data, loaded once."""
    if not (SHARED / "audio16k").is_dir():
        pytest.skip("No sounds in ../shared/data/audio16k.")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OCJAX_CACHE", "/dev/null/nowhere")  # Nothing is kept.
        return sounds.sound_scenes(data_dir=SHARED, size=64)


def files_of(path):
    """Background and event of "<background>+<event>@<ratio>dB#<second>"."""
    background, _, event = path.rpartition("#")[0].partition("+")
    return background, event.rpartition("@")[0]


def counts(dataset, rows):
    names, number = np.unique(dataset.labels[rows], return_counts=True)
    return {dataset.class_names[i]: n for i, n in zip(names, number, strict=True)}


def test_the_classes_of_sound_scenes(clips):
    scenes = clips.class_names[:6]
    assert scenes == (
        "air_conditioner", "children_playing", "engine_idling", "rain", "sea_waves",
        "street_music",
    )  # fmt: skip
    assert clips.class_names[6:8] == (
        "air_conditioner+baby_cry",
        "air_conditioner+gun_shot",
    )
    assert clips.images.dtype == np.uint8 and clips.images.shape[1:] == (64, 64, 1)
    assert data.trainable(clips) == list(range(6))
    # 8 clips of 4 s with 25 windows each, and 4 with 7.
    assert counts(clips, ~clips.official_test) == dict.fromkeys(scenes, 200)
    found = counts(clips, clips.official_test)
    assert {name: found[name] for name in scenes} == dict.fromkeys(scenes, 28)
    mixed = [found[name] for name in clips.class_names[6:]]
    assert len(mixed) == 12 and min(mixed) >= 40 and max(mixed) <= 140
    assert "six" not in clips.note and "6 backgrounds" in clips.note
    assert (np.diff(clips.official_test.astype(int)) >= 0).all()


def test_no_recording_is_on_two_sides(clips):
    with open(SHARED / "audio16k" / "metadata.csv") as file:
        ids = {row["file"]: row["freesound_id"] for row in csv.DictReader(file)}
    parts, of_group = {False: set(), True: set()}, {}
    rows = zip(clips.paths, clips.official_test, clips.groups, strict=True)
    for path, test, group in rows:
        background, event = files_of(path)
        parts[bool(test)] |= {ids[name] for name in (background, event) if name}
        assert of_group.setdefault(group, ids[background]) == ids[background]
    assert len(set(of_group.values())) == len(of_group) > 50
    assert not parts[False] & parts[True]
    for scene in range(6):
        split = data.split("folder", clips, scene, validation_fraction=0.3)
        sides = [set(clips.groups[rows]) for rows in (split.train, split.validation)]
        sides.append(set(clips.groups[split.test]))
        assert all(sides) and len(set.union(*sides)) == sum(map(len, sides))


def test_a_scene_is_tested_on_itself_with_and_without_events(clips):
    split = data.split("folder", clips, 3)
    names = {clips.class_names[i] for i in clips.labels[split.test]}
    assert names == {"rain", "rain+baby_cry", "rain+gun_shot"}
    np.testing.assert_array_equal(split.anomalous, clips.labels[split.test] != 3)
    assert (clips.labels[split.train] == 3).all()


def test_energy_is_the_level_of_a_window(clips):
    energy = clips.baselines["energy"]
    assert energy.shape == clips.labels.shape and np.isfinite(energy).all()
    for i in (0, 999, np.flatnonzero(clips.official_test)[0]):
        path, _, start = clips.paths[i].rpartition("#")
        waveform = audio.read(SHARED / "audio16k" / path)
        window = 0.2 * waveform[round(float(start) * 16000) :][:16000]
        np.testing.assert_allclose(energy[i], 20 * math.log10(rms(window)), atol=1e-3)
        picture = audio.to_images(audio.log_mel(window[None]))[0]
        np.testing.assert_array_equal(clips.images[i], picture)


def write(path, samples, rate=16000, width=2):
    path.parent.mkdir(parents=True, exist_ok=True)
    full = 2 ** (8 * width - 1)
    integers = np.round(np.asarray(samples) * (full - 1)).astype("<i4")
    columns = integers if integers.ndim == 2 else integers[:, None]
    with wave.open(str(path), "wb") as file:
        file.setparams((columns.shape[1], width, rate, 0, "NONE", ""))
        file.writeframes(
            columns.copy()[..., None].view(np.uint8)[..., :width].tobytes()
        )
    return path


def noise(seed, seconds, level=0.05):
    samples = np.random.default_rng(seed).normal(size=round(seconds * 16000))
    return np.clip(level * samples, -1, 1)


COLUMNS = "file,role,class,split,seconds,source,freesound_id"


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Two scenes and two events in the layout of the real clips."""
    few = sounds.CLIPS_MIXING._replace(mixtures=24)
    monkeypatch.setattr(sounds, "CLIPS_MIXING", few)
    root, lines, seed = tmp_path / "audio16k", [COLUMNS], 0
    for split, number in (("train", 2), ("test", 2)):
        for role, names, seconds in (
            ("background", ("rain", "wind"), 4.0),
            ("event", ("cry", "shot"), 1.25),
        ):
            for name in names:
                for i in range(number):
                    seed += 1
                    file = f"{role}/{split}/{name}/{i}.wav"
                    write(root / file, noise(seed, seconds))
                    lines.append(f"{file},{role},{name},{split},{seconds},x,{seed}")
    (root / "metadata.csv").write_text("\n".join(lines) + "\n")
    return root


def load(root, size=SIZE) -> Any:
    return sounds.sound_scenes(data_dir=root.parent, size=size)


def test_the_second_load_comes_from_the_cache_until_a_file_changes(small, monkeypatch):
    first = load(small)
    assert first.images.shape[1:] == (SIZE, SIZE, 1)
    monkeypatch.setattr(audio, "read", None)
    again = load(small)
    for field in ("images", "labels", "official_test", "groups", "scenes", "paths"):
        np.testing.assert_array_equal(getattr(again, field), getattr(first, field))
    np.testing.assert_array_equal(again.baselines["energy"], first.baselines["energy"])
    write(small / "background/train/rain/0.wav", noise(99, 4.5))
    with pytest.raises(TypeError):  # Read anew, by what is None.
        load(small)


def test_other_sizes_are_resized(small):
    whole = load(small, 64)
    np.testing.assert_array_equal(load(small).images, data.resize(whole.images, SIZE))


def edit(root, old, new):
    table = root / "metadata.csv"
    table.write_text(table.read_text().replace(old, new))


def drop(root, part):
    lines = (root / "metadata.csv").read_text().splitlines()
    kept = [line for line in lines if part not in line]
    (root / "metadata.csv").write_text("\n".join(kept))


EXPECTED = (
    "ROOT/metadata.csv, line 2: expected file, role, class, split, seconds, "
    "freesound_id; role is background or event, and split train or test. Got {"
)
BROKEN = {
    "no folder": (
        shutil.rmtree,
        "Data set 'sound_scenes' is not there: cannot read ROOT/metadata.csv ([Errno "
        "2] No such file or directory: 'ROOT/metadata.csv'). Expected a table with the "
        "columns file, role, class, split, seconds, freesound_id beside the files that "
        "it names.",
    ),
    "no clip": (
        lambda root: (root / "background/train/rain/0.wav").unlink(),
        "ROOT/metadata.csv, line 2: there is no file ROOT/background/train/rain/0.wav.",
    ),
    "no column": (lambda root: edit(root, "class", "kind"), EXPECTED),
    "other split": (lambda root: edit(root, ",train,", ",dev,"), EXPECTED),
    "other role": (lambda root: edit(root, ",background,", ",scene,"), EXPECTED),
    "no seconds": (
        lambda root: edit(root, ",train,1.25", ",train,long"),
        EXPECTED.replace("line 2", "line 6"),
    ),
    "empty": (
        lambda root: (root / "metadata.csv").write_text(COLUMNS),
        "ROOT: there are no backgrounds.",
    ),
    "no events": (
        lambda root: drop(root, ",event,"),
        "ROOT: there are no events.",
    ),
    "no training part": (
        lambda root: drop(root, "background/train"),
        "ROOT: there is no training background of 'rain'.",
    ),
    "no test part of a class": (
        lambda root: drop(root, "background/test/wind"),
        "ROOT: there is no test background of 'wind'.",
    ),
    "no test event": (
        lambda root: drop(root, "event/test/cry"),
        "ROOT: there is no test event 'cry'.",
    ),
    "recording twice": (
        lambda root: edit(root, ",test,4.0,x,9\n", ",test,4.0,x,2\n"),
        "ROOT: recording 2 is in the training and in the test part.",
    ),
    "short clip": (
        lambda root: write(root / "background/train/wind/1.wav", noise(1, 0.5)),
        "ROOT/background/train/wind/1.wav lasts 0.50 s, less than a window of 1 s.",
    ),
    "short test clip": (
        lambda root: [
            write(root / f"background/test/rain/{i}.wav", noise(1, 1.0)) for i in (0, 1)
        ],
        "of the background, got one from ",
    ),
    "cut clip": (
        lambda root: (root / "background/test/rain/0.wav").write_bytes(
            (root / "background/test/rain/0.wav").read_bytes()[:1044]
        ),
        "ROOT/background/test/rain/0.wav is cut short: it has 500 of 64000 samples.",
    ),
    "empty event": (
        lambda root: write(root / "event/test/shot/1.wav", np.zeros(0)),
        "ROOT/event/test/shot/1.wav has no samples.",
    ),
    "silent event": (
        lambda root: write(root / "event/test/shot/1.wav", np.zeros(16000)),
        "ROOT/event/test/shot/1.wav has no sound from 0 s to 1.25 s, where an event "
        "should be.",
    ),
    "long event": (
        lambda root: edit(root, ",test,1.25", ",test,5"),
        "An event 'cry' of 5 s does not fit into 4 s.",
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_what_is_missing_or_damaged_is_named_in_one_line(broken, small):
    damage, message = BROKEN[broken]
    damage(small)
    with pytest.raises(InputError) as caught:
        load(small)
    found = str(caught.value).replace(str(small), "ROOT")
    assert "\n" not in found
    if message.endswith(("{", "from ")):  # What follows is the line, or a time.
        assert message in found
    else:
        assert found == message


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """A small development set of DCASE 2017 task 2."""
    root = tmp_path_factory.mktemp("dcase")
    source = root / sounds.DCASE / "data" / "source_data"
    tables = {"bgs_devtrain": [], "bgs_devtest": []}
    for label, scene in enumerate(sounds.SCENES):
        for i, (table, recording) in enumerate(
            [("bgs_devtrain", "a"), ("bgs_devtrain", "b"), ("bgs_devtest", "c")]
        ):
            name = f"audio/{recording}{label:03d}_0_30.wav"
            write(source / "bgs" / name, noise(3 * label + i, 3.0))
            tables[table].append(
                f"- {{classid: {label}, classname: {scene}, filepath: {name}}}\n"
            )
    events = []
    for kind in sounds.EVENTS:
        write(source / "events" / kind / "77.wav", noise(len(kind), 2.0))
        events += [
            f"{kind}:\n",
            # As Python 2 wrote text that came from the web.
            "- audio_filename: !!python/unicode '77.wav'\n",
            "  parent: {tags: !!python/tuple [a, !!python/unicode 'b']}\n",
            "  segment: [0.25, 1.5]\n",
            "- {audio_filename: 77.wav, segment: [1.5, 1.9]}\n",
        ]
    (source / "cv_setup").mkdir()
    for name, lines in {**tables, "events_devtest": events}.items():
        (source / "cv_setup" / f"{name}.yaml").write_text("".join(lines))
    return root


@pytest.fixture
def release(unpacked, tmp_path):
    """A copy of it, to change."""
    return shutil.copytree(unpacked, tmp_path / "dcase")


def official(root) -> Any:
    return sounds.dcase2017_task2(data_dir=root, size=64)


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(sounds, "DCASE_MIXING", SHORT)


@pytest.fixture(scope="module")
def dcase(unpacked):
    """The small development set, loaded once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OCJAX_CACHE", "/dev/null/nowhere")  # Nothing is kept.
        patch.setattr(sounds, "DCASE_MIXING", SHORT)
        return official(unpacked)


def test_the_development_set_of_dcase(dcase):
    found = dcase
    assert found.class_names[:15] == sounds.SCENES
    assert found.class_names[15:18] == (
        "beach+babycry",
        "beach+glassbreak",
        "beach+gunshot",
    )
    assert data.trainable(found) == list(range(15))
    # Clips of 3 s have 5 windows that start every half second.
    scenes = sounds.SCENES
    assert counts(found, ~found.official_test) == dict.fromkeys(scenes, 10)
    tests = counts(found, found.official_test)
    assert {name: tests[name] for name in scenes} == dict.fromkeys(scenes, 5)
    assert set(tests) == set(found.class_names)
    assert found.scenes.tolist() == [
        scenes.index(found.class_names[i].split("+")[0]) for i in found.labels
    ]
    by_recording = {}
    for path, group in zip(found.paths, found.groups, strict=True):
        by_recording.setdefault(path.split("_")[0], set()).add(group)
    assert len(by_recording) == 45
    assert all(len(groups) == 1 for groups in by_recording.values())
    split = data.split("folder", found, 2, validation_fraction=0.4)
    parts = [split.train, split.validation, split.test[~split.anomalous]]
    recordings = [{found.paths[i].split("_")[0][-4:] for i in part} for part in parts]
    assert sorted(map(tuple, recordings)) == [("a002",), ("b002",), ("c002",)]


def test_a_mixture_of_dcase_is_what_its_recipe_says(dcase, unpacked):
    source = unpacked / sounds.DCASE / "data" / "source_data"
    segments = [(0.25, 1.5), (1.5, 1.9)]
    lengths = {kind: [end - start for start, end in segments] for kind in sounds.EVENTS}
    expected, windows = [], []
    for kind, drawn in mixing.recipes(lengths, len(sounds.SCENES), SHORT).items():
        event = audio.read(source / "events" / kind / "77.wav")
        for scene, chosen, onset, ebr in drawn[:40]:
            if chosen is None:
                continue
            name = f"bgs/audio/c{scene:03d}_0_30.wav"
            begin, end = (int(16000 * t) for t in segments[chosen])
            mixture = mixing.mix(
                audio.read(source / name), event[begin:end], ebr, int(16000 * onset)
            )
            length = lengths[kind][chosen]
            for start in (0.0, 0.5, 1.0, 1.5, 2.0):
                both = min(start + 1, onset + length) - max(start, onset)
                if both >= 0.5 or both >= 0.5 * length:
                    path = f"{name}+events/{kind}/77.wav@{ebr:g}dB#{start:g}"
                    expected.append((path, f"{sounds.SCENES[scene]}+{kind}"))
                    windows.append(mixture[round(start * 16000) :][:16000])
    assert len(set(expected)) > 30
    pictures = audio.to_images(audio.log_mel(np.stack(windows)))
    for (path, name), picture in zip(expected, pictures, strict=True):
        rows = [i for i, own in enumerate(dcase.paths) if own == path]
        assert {dcase.class_names[dcase.labels[i]] for i in rows} == {name}
        assert any(np.array_equal(picture, dcase.images[i]) for i in rows)


def test_files_of_other_rates_and_channels(dcase, release, short):
    source = release / sounds.DCASE / "data" / "source_data"
    path = source / "bgs" / "audio" / "c004_0_30.wav"
    stereo = np.stack([audio.resample(audio.read(path), 16000, 44100)] * 2, axis=1)
    write(path, stereo, rate=44100, width=3)  # As the official ones are.
    # The release itself may be named, too.
    after = official(release / sounds.DCASE)
    assert after.paths == dcase.paths
    own = [path.startswith("bgs/audio/c004") for path in dcase.paths]
    difference = (dcase.baselines["energy"] - after.baselines["energy"])[own]
    assert len(difference) > 5 and np.abs(difference).max() < 0.5


LAYOUT = (
    "Expected data/source_data/ with bgs/audio/*.wav, "
    "events/{babycry,glassbreak,gunshot}/*.wav and "
    "cv_setup/{bgs_devtrain.yaml,bgs_devtest.yaml,events_devtest.yaml}, as the "
    "archives TUT-rare-sound-events-2017-development.source_data_bgs_and_cvsetup.1.zip "
    "to .8.zip and .source_data_events.zip have them; they are at "
    "https://zenodo.org/record/401395"
)
HALF = {
    "nothing": (
        "",
        shutil.rmtree,
        "Data set 'dcase2017_task2' is not there: looked for the folder "
        "data/source_data in DIR/TUT-rare-sound-events-2017-development and in DIR. "
        f"{LAYOUT}",
    ),
    "no table": (
        "cv_setup/bgs_devtest.yaml",
        pathlib.Path.unlink,
        f"There is no file ROOT/cv_setup/bgs_devtest.yaml. {LAYOUT}",
    ),
    "no events": (
        "events/gunshot",
        shutil.rmtree,
        "ROOT/cv_setup/events_devtest.yaml: There is no file "
        f"ROOT/events/gunshot/77.wav. {LAYOUT}",
    ),
    "no background": (
        "bgs/audio/b003_0_30.wav",
        pathlib.Path.unlink,
        "ROOT/cv_setup/bgs_devtrain.yaml: There is no file "
        f"ROOT/bgs/audio/b003_0_30.wav. {LAYOUT}",
    ),
    "no YAML": (
        "cv_setup/bgs_devtest.yaml",
        lambda path: path.write_text("- {a: [\n"),
        "ROOT/cv_setup/bgs_devtest.yaml: It is no readable YAML: ",
    ),
    "other fields": (
        "cv_setup/bgs_devtest.yaml",
        lambda path: path.write_text("- {file: a.wav}\n"),
        "ROOT/cv_setup/bgs_devtest.yaml: expected a list with `filepath` and "
        "`classname` each.",
    ),
    "no list": (
        "cv_setup/bgs_devtest.yaml",
        lambda path: path.write_text(""),
        "ROOT/cv_setup/bgs_devtest.yaml: expected a list with `filepath` and "
        "`classname` each.",
    ),
    "other scene": (
        "cv_setup/bgs_devtest.yaml",
        lambda path: path.write_text(path.read_text().replace(": tram", ": trams")),
        "ROOT/cv_setup/bgs_devtest.yaml: Unknown scene "
        f"'trams': expected one of {', '.join(sounds.SCENES)}; did you mean "
        "'tram'?",
    ),
    "no scene": (
        "cv_setup/bgs_devtest.yaml",
        lambda path: path.write_text(
            "".join(path.read_text().splitlines(keepends=True)[:-1])
        ),
        "ROOT: there is no test background of 'tram'.",
    ),
    "no kind": (
        "cv_setup/events_devtest.yaml",
        lambda path: path.write_text(path.read_text().replace("gunshot:", "shot:")),
        "ROOT/cv_setup/events_devtest.yaml: expected of each kind a list with "
        "`audio_filename` and `segment` each.",
    ),
    "no segment": (
        "cv_setup/events_devtest.yaml",
        lambda path: path.write_text(path.read_text().replace(", 1.9]", "]")),
        "ROOT/cv_setup/events_devtest.yaml: expected of each kind a list with "
        "`audio_filename` and `segment` each.",
    ),
    "segment beyond the end": (
        "cv_setup/events_devtest.yaml",
        lambda path: path.write_text(
            path.read_text().replace("[1.5, 1.9]", "[2.5, 2.9]")
        ),
        "ROOT/events/babycry/77.wav has no sound from 2.5 s to 2.9 s, where an event "
        "should be.",
    ),
}


def test_the_tables_of_dcase_need_yaml(release, short, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    message = f"bgs_devtrain.yaml: It needs PyYAML: {_extras.install('audio')}"
    with pytest.raises(InputError, match=re.escape(message) + "$"):
        official(release)


@pytest.mark.parametrize("half", HALF)
def test_what_is_not_unpacked_is_named_in_one_line(half, release, short):
    name, damage, message = HALF[half]
    root = release / sounds.DCASE / "data" / "source_data"
    damage(root / name)
    with pytest.raises(InputError) as caught:
        official(release)
    found = str(caught.value).replace(str(root), "ROOT").replace(str(release), "DIR")
    assert "\n" not in found
    if message.endswith(": "):  # What follows is the library's.
        assert found.startswith(message)
    else:
        assert found == message


def test_a_class_that_was_never_drawn_is_named(unpacked, monkeypatch):
    monkeypatch.setattr(sounds, "DCASE_MIXING", SHORT._replace(mixtures=10))
    message = r"source_data: [a-z/_]+\+[a-z]+ has no windows; there are too few test"
    with pytest.raises(InputError, match=message):
        official(unpacked)
