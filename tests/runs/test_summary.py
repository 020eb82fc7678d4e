"""What a run comes to, written, read back, and read where it is damaged."""

import dataclasses
import json

import pytest
from summaries import SUMMARY, judged

from ocjax import data
from ocjax._checks import InputError
from ocjax.runs.folder import RunFolder
from ocjax.runs.summary import Summary

VALUES = json.loads(json.dumps(SUMMARY.to_json()))
BARE = dataclasses.replace(
    judged(measures=None, kinds={}, anomalies=0, decisions=None),
    baselines={},
    threshold_note="No normal images were held out.",
    localization=None,
    score_seconds=None,
    draw_seconds=None,
    leaks=(),
    warnings=(),
)


def test_the_object_is_flat_and_names_the_class_by_its_role():
    nested = {name for name, value in VALUES.items() if isinstance(value, dict)}
    assert nested == {"kinds", "baselines", "synthetic"}
    assert (VALUES["normal_class"], VALUES["target"]) == ("8", "normal class 8")
    assert (VALUES["auroc"], VALUES["threshold"], VALUES["steps"]) == (
        0.976,
        0.012345,
        1000,
    )
    assert VALUES["leaks"] == ["The epoch was chosen on labels."]
    identity = dataclasses.replace(SUMMARY.identity, protocol="ganomaly")
    other = dataclasses.replace(SUMMARY, identity=identity).to_json()
    assert other["anomalous_class"] == "8" and "normal_class" not in other
    assert other["target"] == "anomalous class 8"


@pytest.mark.parametrize("protocol", data.TARGET)
@pytest.mark.parametrize("summary", [SUMMARY, BARE])
def test_what_is_written_is_read_back(summary, protocol):
    identity = dataclasses.replace(summary.identity, protocol=protocol)
    summary = dataclasses.replace(summary, identity=identity)
    assert Summary.from_json(json.loads(json.dumps(summary.to_json()))) == summary


def test_what_is_not_known_is_null():
    values = BARE.to_json()
    assert values.keys() == VALUES.keys()
    names = ("auroc", "best_f1_oracle", "threshold", "false_alarms", "pixel_auroc")
    assert {values[name] for name in names} == {None} and BARE.auroc is None
    # Nothing was held out, and the rate was asked for all the same.
    assert values["promised_false_positive_rate"] == 0.05


def test_whole_numbers_are_numbers():
    read = Summary.from_json(VALUES | {"auroc": 1, "train_seconds": 0})
    assert (read.auroc, read.training.train_seconds) == (1.0, 0.0)
    assert type(read.auroc) is float


def test_every_field_must_be_there():
    for name in VALUES:
        lacking = {key: value for key, value in VALUES.items() if key != name}
        with pytest.raises(InputError, match=f"^`{name}` "):
            Summary.from_json(lacking)


def test_every_field_must_be_of_its_type():
    for name, value in VALUES.items():
        others: list = [True, [1], {"a": "1"}]
        is_text = isinstance(value, str) or name == "threshold_note"
        others += [1] if is_text else ["1"]
        others += [1.5] if isinstance(value, int) else []
        if isinstance(value, list):
            others.remove([1])
            others += [[1], [None]]
        for other in others:
            with pytest.raises(InputError, match=f"^`{name}"):
                Summary.from_json(VALUES | {name: other})


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"aurc": 0.5}, "`aurc` is unknown; did you mean 'auroc'"),
        ({"target_class": "8"}, "`target_class` is unknown"),
        ({"anomalous_class": "8"}, "`anomalous_class` is unknown"),
        ({"protocol": "p9"}, "`protocol` must be one of p1, .*, got 'p9'"),
        ({"target": "normal class 9"}, "`target` must be 'normal class 8', got "),
        ({"auroc": float("nan")}, "`auroc` must be finite, got nan"),
        ({"threshold": float("inf")}, "`threshold` must be finite, got inf"),
        ({"train_seconds": 10**400}, "`train_seconds` must be finite, got 10"),
        ({"auroc_low": None}, "`auroc_low` must be a number, got None"),
        ({"false_alarms": None}, "`false_alarms` must be a whole number, got None"),
        ({"per_region_overlap": None}, "`per_region_overlap` must be a number"),
        ({"kinds": {"crack": 0.5}}, "`kinds.crack` must be one object, got 0.5"),
        (
            {"kinds": {"crack": {"auroc": 1, "auroc_low": 1, "auroc_high": 1}}},
            "`kinds.crack.anomalies` is missing",
        ),
        (
            {"baselines": {"loudness": {"auroc": 1.0, "kinds": {}}}},
            "`baselines.loudness.kinds` must be those of `kinds`",
        ),
        ({"warnings": ["a", 1]}, "`warnings.1` must be text, got 1"),
        (
            {"promised_false_positive_rate": None},
            "must be a number where there is a threshold",
        ),
        ({"note": 10 * [10 * ["a" * 1000]]}, "`note` must be text, got "),
    ],
)
def test_damage_is_named(changes, message):
    with pytest.raises(InputError, match=message) as error:
        Summary.from_json(VALUES | changes)
    assert len(str(error.value)) < 200


def test_fields_that_do_not_go_together_are_named():
    values = BARE.to_json()
    with pytest.raises(InputError, match="`auroc` must be a number where there are"):
        Summary.from_json(values | {"kinds": VALUES["kinds"]})
    with pytest.raises(InputError, match="`threshold_note` must be text where"):
        Summary.from_json(values | {"threshold_note": None})


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"[1]", b"null", b"{}", b"[" * 100_000, b'{"a\\n": 1}']
    + [json.dumps(VALUES | {"seed": "a\nb"}).encode()]
    + [json.dumps(VALUES | {"a\n" * 1000: 1}).encode()]
    + [json.dumps(VALUES | {"normal_class": "a" * 10_000}).encode()],
)
def test_a_damaged_file_costs_one_line_that_names_it(content, tmp_path):
    folder = RunFolder(tmp_path)
    folder.write("eval/summary.json", content)
    with pytest.raises(InputError, match="summary.json is damaged") as error:
        folder.result()
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


def test_a_summary_tells_where_its_folder_is_now(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.result() is None
    folder.finish(SUMMARY)
    assert folder.result() == dataclasses.replace(SUMMARY, workdir=str(tmp_path))
