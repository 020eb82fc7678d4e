"""What the README shows works."""

import pathlib
import re

README = (pathlib.Path(__file__).parent.parent / "README.md").read_text()


def test_the_python_examples_run(capsys):
    first, second = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert "epochs=50" in first
    names = {}
    exec(first.replace("epochs=50", "epochs=1"), names)
    assert "'auroc': " in capsys.readouterr().out
    exec(second, names)
    before = names["evaluation"].score(
        names["method"], names["state"], 2 * names["normals"] - 1
    )
    assert (names["scores"] > before).all()


def test_every_file_it_names_is_there():
    root = pathlib.Path(__file__).parent.parent
    named = re.findall(r"[\w/]+/[\w/.]*\w", README)
    paths = [n for n in named if n.split("/")[0] in ("ocjax", "experiments", "docs")]
    assert paths
    assert [p for p in paths if not (root / p).exists() and "NAME" not in p] == []
