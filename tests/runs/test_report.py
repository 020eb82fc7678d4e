import base64
import dataclasses
import inspect
import re
import xml.etree.ElementTree as ElementTree

from summaries import SUMMARY, judged

from ocjax.evaluation import plots
from ocjax.runs import report
from ocjax.runs.folder import RunFolder

CONFIG = {"method": {"latent": 100, "name": "<script>alert(1)</script>"}}
ENVIRONMENT = {"devices": ["cpu:0", "cpu:1"], "jax": "0.10.2"}
PNG = bytes(16) + (400).to_bytes(4) + bytes(8)
CALM = dataclasses.replace(SUMMARY, leaks=(), warnings=())


def page(summary=SUMMARY, figures=None):
    return report.page(summary, CONFIG, ENVIRONMENT, figures or {})


def text_of(page):
    """The page's visible text; parsing fails unless every element is closed."""
    root = ElementTree.fromstring(page.replace("<!DOCTYPE html>", "").strip())
    return " ".join(" ".join(root.itertext()).split())


def test_the_report_states_the_result():
    text = text_of(page())
    expected = [
        "ganomaly on mnist",
        "normal class 8 · protocol p2 · seed 3 · 20 epochs",
        "AUROC 0.976 95 % interval 0.960 to 0.989",
        "Threshold 0.01235 False-positive rate: promised at most 5.00 %",
        "reached 5.00 % on the test set",
        "95 % interval 1.00 % to 12.50 %",
        "1,200 held-out normal images",
        "Test images, normal 60 Test images, anomalous 192",
        "Average precision 0.980",
        "False positives at 95 % found 12.50 %",
        "Equal error rate 6.25 %",
        "its threshold saw the labels 0.900",
        "AUROC of pixels, by masks 0.750",
        "Per-region overlap, to 30 % false positives 0.375",
        "Compilation of training 4.2 s Training 13.5 min Scoring 3.2 s Drawing 4.5 s",
        "Training images a second 371",
        "How to reproduce ocjax train digits",
        "method.latent 100",
        "devices cpu:0, cpu:1",
    ]
    assert [one for one in expected if one not in text] == []


def test_the_report_is_self_contained():
    content = page(figures={"roc": b"\x89PNG" + PNG[4:]})
    assert not re.search(r"https?://|<script|<link|@import|url\(", content)
    sources = re.findall(r'src="([^"]*)"', content)
    assert len(sources) == 1
    kind, data = sources[0].split(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(data).startswith(b"\x89PNG")


def test_what_a_user_wrote_is_escaped():
    content = page(dataclasses.replace(SUMMARY, warnings=("a < b & c",)))
    assert "&lt;script&gt;alert(1)" in content
    assert "a < b & c" in text_of(content)


def test_leaks_and_warnings_come_first():
    text = text_of(page())
    leak = text.index("Not honest: The epoch was chosen on labels.")
    assert leak < text.index("Look.") < text.index("protocol p2")
    assert 'role="alert"' in page() and 'role="alert"' not in page(CALM)


def test_what_was_not_measured_is_left_out():
    training = dataclasses.replace(
        SUMMARY.training, images_per_second=None, compile_seconds=None
    )
    summary = dataclasses.replace(
        judged(measures=None, anomalies=0, kinds={}, decisions=None),
        baselines={},
        training=training,
        localization=None,
        threshold_note="No normal images were held out.",
        score_seconds=None,
        draw_seconds=None,
    )
    text = text_of(page(summary))
    assert "No normal images were held out." in text
    assert "No anomalous picture was given" in text
    absent = ["None", "promised", "Compilation", "Drawing", "a second", "Pictures"]
    absent += ["Equal error", "By kind", "by masks"]
    assert [word for word in absent if word in text] == []


def test_pictures_have_one_order_and_training_curves_come_last():
    figures = {"training_curves": PNG, "own": PNG, "examples": PNG, "roc": PNG}
    content = page(figures=figures)
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", content)
    assert [caption[:24] for caption in captions] == [
        "Anomalies found against ",
        "The test images with the",
        "Each term of the losses:",
    ]
    assert content.count('width="200"') == 3  # Two device pixels to one of CSS.


def test_every_picture_has_a_caption():
    """The names of the functions that draw are those of the captions."""
    names = [name for name, value in vars(plots).items() if inspect.isfunction(value)]
    assert set(names) - {"comparison", "png", "table"} == set(report.CAPTIONS)
    captions = list(report.CAPTIONS.values())
    assert len(set(captions)) == len(captions)
    assert all(caption.endswith(".") for caption in captions)


def test_kinds_and_baselines_have_a_table():
    text = text_of(page())
    assert "Six scenes of fifteen." in text and "loudness" in text
    assert "crack 12 0.500 0.250 to 0.750 0.500" in text
    assert "hole 180 1.000 0.875 to 1.000 1.000" in text
    assert "all 192 0.976 0.960 to 0.989 0.625" in text


def test_one_kind_alone_needs_no_table():
    kinds = {"crack": SUMMARY.judgement.kinds["crack"]}
    one = dataclasses.replace(judged(kinds=kinds), baselines={})
    assert "By kind of anomaly" not in page(one)


def test_the_report_is_of_what_the_folder_has(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_json("run.json", CONFIG)
    folder.write_json("env.json", ENVIRONMENT)
    report.write(folder, SUMMARY, {"roc": PNG})
    content = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert content == page(figures={"roc": PNG})
