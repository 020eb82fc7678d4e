"""The program that is run by hand: what it does to files, and what it counts."""

import io
import json
import pickle
import zipfile

import damage
import kills
import numpy as np
import pytest
import table
import work


def archive() -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as file:
        file.writestr("card.json", json.dumps({"size": 32, "normals": [1.0, 2.0]}))
        file.writestr("state.npz", bytes(500))
    return written.getvalue()


CONTENTS = {
    "bytes_damaged": bytes(range(256)) * 4,
    "json_damaged": b'{"a": 1, "b": {"c": [1, 2]}}',
    "csv_damaged": b"path,label\na.png,good\nb.png,hole\n",
    "zip_damaged": archive(),
}


@pytest.mark.parametrize("kind", CONTENTS)
def test_damage_is_other_bytes_and_depends_on_the_seed_alone(kind):
    function, content = getattr(damage, kind), CONTENTS[kind]
    first, second = (
        [function(content, rng) for _ in range(60)]
        for rng in map(np.random.default_rng, (3, 3))
    )
    # Archives keep the time of day.
    assert [what for what, _ in first] == [what for what, _ in second]
    assert kind == "zip_damaged" or first == second
    assert sum(changed != content for _, changed in first) > 50
    assert len({what for what, _ in first}) > 3


def test_what_is_planted_runs_where_it_is_unpickled(tmp_path):
    marker, rng = tmp_path / "marker", np.random.default_rng(0)
    planted = dict(damage.planted(archive(), str(marker), rng) for _ in range(60))
    assert len(planted) == 7
    pickle.loads(planted["planted pickle"])
    assert marker.exists()
    marker.unlink()
    np.load(io.BytesIO(planted["planted object array"]), allow_pickle=True)
    assert marker.exists()


def test_a_lost_bit_is_noticed():
    one = {"weights": b"\0\1", "scores": b"1"}
    assert work.differing(one, dict(one)) == []
    assert work.differing(one, one | {"weights": b"\0\0"}) == ["weights"]
    assert work.differing(one, {"weights": b"\0\1"}) == ["scores"]


def test_a_stage_is_told_from_the_folder(tmp_path):
    def stage(*names: str) -> str:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return kills._stage(tmp_path, "Compiling.")

    assert stage() == "starting"
    assert stage("env.json", "checkpoints/2/state") == "training"
    assert stage("checkpoints/4.orbax-checkpoint-tmp") == "saving"
    assert stage("eval/scores.csv") == "judging or drawing"
    assert stage("eval/summary.json") == "ending"
    assert kills._stage(tmp_path, "") == "starting"  # Again, after a kill.


def test_a_row_takes_the_place_of_the_earlier_one_and_the_page_shows_it(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(work, "RESULTS", tmp_path / "results.json")
    tally = work.Tally("kills", "run", {"lost bits": 0})
    tally.tried, tally.outcomes["SIGKILL"] = 3, 3
    work.record(tally, 0, 200.0)
    work.record(work.Tally("uploads", "page", {"leaks": 0}), 0, 60.0)
    tally.tried = 1200
    work.record(tally, 1, 200.0)
    rows = json.loads((tmp_path / "results.json").read_text())
    assert [(row["part"], row["tried"]) for row in rows] == [
        ("kills", 1200),
        ("uploads", 0),
    ]
    page = table.rendered(rows)
    assert "| kills | run | 1,200 | 3 SIGKILL | 0 lost bits | 3 |" in page
    assert rows[0]["machine"] in page
