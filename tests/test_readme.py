"""What the README shows works."""

import pathlib
import re

README = (pathlib.Path(__file__).parent.parent / "README.md").read_text()


def test_the_python_example_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert "epochs=50" in code
    exec(code.replace("epochs=50", "epochs=1"), {})
    assert "'auroc': " in capsys.readouterr().out


def test_every_file_it_names_is_there():
    root = pathlib.Path(__file__).parent.parent
    named = re.findall(r"[\w/]+/[\w/.]*\w", README)
    paths = [n for n in named if n.split("/")[0] in ("ocjax", "experiments", "docs")]
    assert paths
    assert [p for p in paths if not (root / p).exists() and "NAME" not in p] == []
