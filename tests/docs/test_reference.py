"""The reference that is made from docstrings."""

import importlib.util
import pathlib
import re

import pytest

import ocjax
from ocjax import data, evaluation, methods

pytestmark = pytest.mark.xdist_group("docs")

SCRIPT = pathlib.Path(__file__).parents[2] / "docs" / "reference.py"


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location("reference", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def headings(path):
    return re.findall(r"^###+ `(.+)`$", path.read_text(), re.MULTILINE)


def test_every_package_has_a_page_with_what_it_exports(reference, tmp_path):
    pages = {path.stem: path for path in reference.write(tmp_path / "api")}
    folder = pathlib.Path(ocjax.__file__).parent
    own = {p.parent.name for p in folder.glob("*/__init__.py")} - {"cli"}
    assert {f"ocjax.{name}" for name in own} <= set(pages)
    for name in pages.keys() - {"index"}:
        assert f"]({name}.md)" in pages["index"].read_text()
        assert len(headings(pages[name])) > 0
    detector = headings(pages["ocjax"])
    assert {"Detector", "Detector.fit", "Detector.judge", "open_model"} <= {*detector}
    assert {"load", "split", "SOURCES", "Dataset"} <= {*headings(pages["ocjax.data"])}
    assert {"auroc", "from_normals"} <= {*headings(pages["ocjax.evaluation"])}
    assert {"Method", *methods.METHODS} <= {*headings(pages["ocjax.methods"])}
    assert {"Encoder", "infer"} <= {*headings(pages["ocjax.modules"])}


def test_sections_fields_and_links_are_shown(reference):
    page = reference.page("ocjax.methods")
    assert "    latent: int = 100  # Length of the latent z." in page
    assert "**Args:**\n\n- `config`: hyper-parameters." in page
    page = reference.page("ocjax.evaluation")
    assert "](https://arxiv.org/abs/2107.07511)" in page and ">`_" not in page


@pytest.mark.parametrize(
    ("owner", "name", "full"),
    [
        (data.split, "split", "ocjax.data.split"),
        (evaluation.metrics.auroc, "auroc", "ocjax.evaluation.metrics.auroc"),
        (ocjax.Detector.fit, "fit", "ocjax.detector.Detector.fit"),
    ],
)
def test_what_has_no_docstring_is_named(owner, name, full, reference, monkeypatch):
    monkeypatch.setattr(owner, "__doc__", None)
    with pytest.raises(reference.Undocumented, match=f"{full} has no docstring"):
        for page in ("ocjax", *reference.packages()):
            reference.page(page)
