import json

import numpy as np
import pytest
from calls import call, refused
from PIL import Image

from ocjax.inference import comparison


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Grey pictures of noise, and anomalous ones with a white corner."""
    root, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for part, count in (("train/good", 30), ("test/good", 8), ("test/corner", 8)):
        (root / part).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 120, (32, 32), np.uint8)
            if part == "test/corner":
                pixels[:16, :16] = 255
            Image.fromarray(pixels).save(root / part / f"{i}.png")
    return root


def test_methods_are_compared_in_a_table_and_a_picture(pictures, tmp_path, capsys):
    arguments = ["compare", pictures, "--methods=lof,pca", "--workdir", tmp_path / "c"]
    assert call(*arguments) == 0
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert lines[0].startswith("| method | SYNTHETIC | AUROC |") and len(lines) == 4
    rows = json.loads((tmp_path / "c" / "comparison.json").read_text())
    assert {row["method"] for row in rows} == {"lof", "pca"}
    for row in rows:
        assert row["auroc"] > 0.9 and row["failed"] == ""
        assert set(row["kinds"]) >= {"erased", "scarred", "blended"}
        assert 0 < row["score_milliseconds"] and 0 < row["megabytes"] < 10
    page = (tmp_path / "c" / "comparison.md").read_text()
    assert "is a leak" in page and "| method | erased |" in page
    assert (tmp_path / "c" / "comparison.png").read_bytes().startswith(b"\x89PNG")
    # What is finished is not trained again.
    assert call(*arguments) == 0
    captured = capsys.readouterr()
    assert "is finished; this is its result" in captured.err
    assert captured.out.splitlines()[0] == lines[0]


def test_a_method_that_cannot_be_used_has_a_line_and_others_go_on(
    pictures, tmp_path, capsys, monkeypatch
):
    failed = comparison.Row("lof", failed="Needs | more.")
    real = comparison.compared
    monkeypatch.setattr(
        comparison,
        "compared",
        lambda values, *a, **o: (
            failed if values["method"] == "lof" else real(values, *a, **o)
        ),
    )
    call("compare", pictures, "--methods=lof,knn", "--workdir", tmp_path)
    last = capsys.readouterr().out.splitlines()
    assert last[2].startswith("| knn | 0.") or last[2].startswith("| knn | 1.")
    assert last[3].startswith(r"| lof | Needs \| more. |")


def test_no_method_begins_after_the_minutes(pictures, tmp_path, capsys):
    for minutes in ("1e-9", "0"):
        folder = tmp_path / minutes
        flags = "--methods=knn", f"--minutes={minutes}", "--workdir", folder
        assert call("compare", pictures, *flags) == 0
        assert "not begun: --minutes were over" in capsys.readouterr().out
        # The files that are named have what was not begun, too.
        assert "not begun" in (folder / "comparison.md").read_text()


def test_rows_are_ordered_by_what_no_anomaly_had_a_part_in():
    rows = [
        comparison.Row("a", auroc=0.9, kinds={"erased": 0.5, "noisy": 0.7}),
        comparison.Row("b", auroc=0.5, kinds={"erased": 0.9}),
        comparison.Row("c", failed="no"),
        comparison.Row("d", auroc=0.95),
    ]
    lines = comparison.table(rows).splitlines()[2:]
    assert [line.split()[1] for line in lines] == ["d", "b", "a", "c"]
    assert "| a | 0.600 | 0.900 |" in lines[2]


def test_mistakes_cost_one_line(capsys, tmp_path):
    assert "'ganomali'" in refused(capsys, "compare", "digits", "--methods=ganomali")
    assert "There is no folder" in refused(capsys, "compare", tmp_path / "none")
    assert "--methods" in refused(capsys, "compare", "digits", "--methods=,")
