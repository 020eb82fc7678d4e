import base64
import inspect
import re
import xml.etree.ElementTree as ElementTree

import jinja2
import numpy as np
import pytest

from ocjax.evaluation import metrics, plots, write_report


@pytest.fixture
def arguments():
    anomalous = np.arange(40) >= 20
    scores = np.arange(40.0) + 11.5 * (~anomalous)
    summary = metrics.summary(anomalous, scores) | {
        "method": "GANomaly",
        "dataset": "MNIST",
        "protocol": "p2",
        "target": "normal class 8",
        "seed": 3,
        "epochs": 20,
        "images_per_second": 371.4,
        "compile_seconds": 4.25,
        "train_seconds": 812.4,
        "score_seconds": 3.2,
        "draw_seconds": 4.1,
        "threshold": 0.012345,
        "promised_false_positive_rate": 0.05,
        "reached_false_positive_rate": 0.0417,
        "reached_low": 0.031,
        "reached_high": 0.055,
        "held_out_normals": 1200,
        "threshold_note": None,
        "note": "",
        "kinds": {},
        "baselines": {},
        "command": "python experiments/train.py --config.seed=3",
    }
    return {
        "summary": summary,
        "config": {"method": {"latent": 100, "name": "<script>alert(1)</script>"}},
        "environment": {"jax": "0.10.2", "devices": ["cpu:0", "cpu:1"]},
        "figures": {"roc": plots.roc(anomalous, scores)},
    }


def written(path, arguments, **more):
    write_report(path, **arguments, **more)
    return path.read_text(encoding="utf-8")


def text_of(page):
    """The page's visible text; parsing fails unless every element is closed."""
    root = ElementTree.fromstring(page.replace("<!DOCTYPE html>", "").strip())
    return " ".join(" ".join(root.itertext()).split())


def test_report_states_the_result(tmp_path, arguments):
    text = text_of(written(tmp_path / "report.html", arguments))
    auroc = arguments["summary"]["auroc"]
    for expected in [
        "GANomaly on MNIST",
        "normal class 8 · protocol p2 · seed 3 · 20 epochs",
        f"AUROC {auroc:.3f}",
        "0.01235",
        "promised at most 5.00 %, reached 4.17 %",
        "1,200 held-out normal images",
        "13.5 min",
        "python experiments/train.py --config.seed=3",
        "method.latent 100",
        "devices cpu:0, cpu:1",
    ]:
        assert expected in text


def test_report_is_self_contained(tmp_path, arguments):
    page = written(tmp_path / "report.html", arguments)
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)
    sources = re.findall(r'src="([^"]*)"', page)
    assert len(sources) == 1
    kind, data = sources[0].split(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data).startswith(b"\x89PNG")


def test_what_a_user_wrote_is_escaped(tmp_path, arguments):
    page = written(tmp_path / "report.html", arguments, warnings=["a < b & c"])
    assert "&lt;script&gt;alert(1)" in page
    assert "a < b & c" in text_of(page)


def test_warnings_come_first(tmp_path, arguments):
    text = text_of(written(tmp_path / "a.html", arguments, warnings=["Labels leak."]))
    assert text.index("Labels leak.") < text.index("protocol p2")
    assert "alert" not in written(tmp_path / "b.html", arguments | {"config": {}})


def test_what_was_not_measured_is_left_out(tmp_path, arguments):
    arguments["summary"] |= {
        "threshold": None,
        "promised_false_positive_rate": None,
        "reached_false_positive_rate": None,
        "held_out_normals": 0,
        "threshold_note": "No normal images were held out.",
        "images_per_second": None,
        "compile_seconds": None,
        "train_seconds": None,
        "score_seconds": None,
        "draw_seconds": None,
    }
    text = text_of(written(tmp_path / "report.html", arguments | {"figures": {}}))
    assert "No normal images were held out." in text
    for absent in ["None", "promised", "Compilation", "Pictures"]:
        assert absent not in text


def test_figures_keep_their_order_and_training_curves_come_last(tmp_path, arguments):
    png = bytes(16) + (400).to_bytes(4) + bytes(8)
    figures = {"training_curves": png, "own picture": png, **arguments["figures"]}
    page = written(tmp_path / "report.html", arguments | {"figures": figures})
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    assert captions[0] == "own picture"
    assert captions[1].startswith("Anomalies found against false alarms")
    assert captions[2].startswith("Each term of the losses")
    assert page.count('width="200"') == 2  # Two device pixels to one of CSS.


def test_every_picture_has_a_caption(tmp_path, arguments):
    """The names of the functions that draw are those of the captions."""
    names = [name for name, value in vars(plots).items() if inspect.isfunction(value)]
    png = bytes(16) + (400).to_bytes(4) + bytes(8)
    figures = {name: png for name in names if name not in ("png", "table")}
    page = written(tmp_path / "report.html", arguments | {"figures": figures})
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    assert len(captions) == len(set(captions)) == len(figures)
    assert not set(captions) & set(figures)
    assert all(caption.endswith(".") for caption in captions)


def test_a_missing_key_is_named_and_leaves_the_old_report(tmp_path, arguments):
    path = tmp_path / "report.html"
    page = written(path, arguments)
    del arguments["summary"]["held_out_normals"]
    with pytest.raises(jinja2.UndefinedError, match="held_out_normals"):
        write_report(path, **arguments)
    assert path.read_text(encoding="utf-8") == page
    assert list(tmp_path.iterdir()) == [path]


def test_kinds_and_baselines_have_a_table(tmp_path, arguments):
    kind = {"auroc": 0.5, "auroc_low": 0.25, "auroc_high": 0.75, "anomalies": 12}
    arguments["summary"] |= {
        "note": "Six scenes of fifteen.",
        "kinds": {"crack": kind},
        "baselines": {"loudness": {"auroc": 0.625, "kinds": {"crack": kind}}},
    }
    text = text_of(written(tmp_path / "report.html", arguments))
    assert "Six scenes of fifteen." in text and "loudness alone" in text
    assert "crack 12 0.500 0.250 to 0.750 0.500" in text and "0.625" in text
