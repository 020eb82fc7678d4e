"""The notebooks run from their first cell to their last, and keep no outputs."""

import pathlib

import nbformat
import pytest
from nbclient import NotebookClient

DOCS = pathlib.Path(__file__).parents[2] / "docs"
# Of each, something that it prints.
NOTEBOOKS = {"digits": "found 0.", "own_folder": "scratch: 20 of 20 called anomalous"}


def test_all_are_known():
    assert sorted(path.stem for path in DOCS.glob("*.ipynb")) == sorted(NOTEBOOKS)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_it_runs(name, tmp_path, monkeypatch):
    monkeypatch.setenv("OCJAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(DOCS / f"{name}.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, resources=resources).execute()
    outputs = [output for cell in code for output in cell.outputs]
    said = "".join(output.get("text", "") for output in outputs)
    assert NOTEBOOKS[name] in said
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not any(output.get("name") == "stderr" for output in outputs)
