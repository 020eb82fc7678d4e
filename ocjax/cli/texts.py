"""Texts of help, read from the source where Python has dropped them."""

import ast
import dataclasses
import inspect
import textwrap
import tokenize
from io import StringIO
from typing import Any


def docstring(subject: Any) -> str:
    """Docstring of a module, class or function, under `python -OO` too."""
    if subject.__doc__ is not None:
        return inspect.cleandoc(subject.__doc__)
    tree = ast.parse(textwrap.dedent(inspect.getsource(subject)))
    node = tree if inspect.ismodule(subject) else tree.body[0]
    assert isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    return ast.get_docstring(node) or ""


def first_line(subject: Any) -> str:
    """First line of a docstring."""
    return docstring(subject).partition("\n")[0]


def fields(config: type) -> dict[str, str]:
    """Texts of a dataclass's fields by name: the comment beside it, else above."""
    texts = {}
    for part in reversed(config.__mro__):
        if dataclasses.is_dataclass(part):
            texts |= _own_fields(part)
    return texts


def _own_fields(config: type) -> dict[str, str]:
    """Texts of the fields that a dataclass does not inherit, by name."""
    source = textwrap.dedent(inspect.getsource(config))
    comments, alone = {}, set()
    for token in tokenize.generate_tokens(StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row = token.start[0]
            comments[row] = token.string.lstrip("# ")
            if token.line.lstrip().startswith("#"):
                alone.add(row)
    texts = {}
    (tree,) = ast.parse(source).body
    assert isinstance(tree, ast.ClassDef)
    for node in tree.body:
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
            continue
        rows = [row for row in comments if node.lineno <= row <= node.end_lineno]
        if not rows:
            row = node.lineno - 1
            while row in alone:
                rows.insert(0, row)
                row -= 1
        texts[node.target.id] = " ".join(comments[row] for row in rows)
    return texts
