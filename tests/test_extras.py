"""What to install is said as a command that works."""

import pathlib
import sys
import tomllib

import pytest

from ocjax import _extras

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture
def pip(tmp_path, monkeypatch):
    """A `pip` on the path, beside this Python."""
    for name in ("pip", "python"):
        (tmp_path / "bin" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "bin" / name).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))


def test_extras_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    bare = {
        extra: tuple(requirement.partition(">=")[0] for requirement in requirements)
        for extra, requirements in extras.items()
        if extra not in ("cuda", "tpu", "dev", "docs")
    }
    assert bare == _extras.EXTRAS


def test_a_checkout_is_installed_from_where_it_lies(pip, monkeypatch, tmp_path):
    monkeypatch.chdir(ROOT)
    assert _extras.install("prepare") == "pip install -e '.[prepare]'"
    monkeypatch.chdir(tmp_path)
    assert _extras.install("onnx") == f"pip install -e '{ROOT}[onnx]'"


def test_without_a_checkout_the_packages_are_named(pip, monkeypatch, tmp_path):
    monkeypatch.setattr(_extras, "__file__", str(tmp_path / "ocjax" / "_extras.py"))
    assert _extras.install("prepare") == "pip install tensorflow-cpu"
    assert _extras.install("onnx") == "pip install onnx onnxruntime"


def test_the_pip_of_another_python_is_not_named(pip, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "other" / "python"))
    expected = f"{tmp_path}/other/python -m pip install -e"
    assert _extras.install("serve").startswith(expected)
