import importlib.util
import json
import pathlib

import numpy as np
import pytest

PATH = pathlib.Path(__file__).parents[2] / "experiments" / "curves.py"
spec = importlib.util.spec_from_file_location("curves", PATH)
assert spec is not None and spec.loader is not None
curves = importlib.util.module_from_spec(spec)
spec.loader.exec_module(curves)


def rows(scale, **others):
    return [{"step": i, "generator": scale * i, **others} for i in range(1, 61)]


def test_runs_are_laid_over_each_other_in_each_term():
    runs = {"dual": rows(2.0, discriminator=1.0), "single": rows(-1.0)}
    figure = curves.overlay(runs, ["generator", "discriminator"])
    both, one = figure.axes
    assert [axes.get_title("left") for axes in figure.axes] == [
        "generator",
        "discriminator",
    ]
    labels = [axes.get_legend_handles_labels()[1] for axes in figure.axes]
    assert labels == [["dual", "single"], ["dual"]]
    raw, smooth = (np.asarray(line.get_xydata()) for line in both.lines[2:])
    np.testing.assert_array_equal(raw[:, 1], -np.arange(1, 61))
    # Means of 60 // 20 = 3 neighbours; of a straight line they lie on it.
    assert len(smooth) == 58
    np.testing.assert_allclose(smooth[:, 1], -smooth[:, 0])
    np.testing.assert_allclose(one.lines[1].get_ydata(), 1.0)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    text = "".join(json.dumps(row) + "\n" for row in rows(1.0))
    (folder / "metrics.jsonl").write_text(text)
    return str(folder)


def test_the_command_writes_a_picture(run, tmp_path):
    out = tmp_path / "curves.png"
    curves.main([run, run, "--terms=generator", "--labels=a,b", f"--out={out}"])
    assert out.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--terms=x"], "No run has logged 'x', but generator, step"),
        (["--terms=generator", "--labels=a,b"], "1 runs need as many"),
        (["--terms=generator", "nowhere"], "nowhere has no logged steps"),
        ([], "required: --terms"),
    ],
)
def test_mistakes_cost_one_line(run, tmp_path, arguments, message):
    with pytest.raises(SystemExit, match=message) as caught:
        curves.main([run, f"--out={tmp_path / 'out.png'}", *arguments])
    assert "\n" not in str(caught.value)
