"""Writes the reference of all public functions, a Markdown page for each package.

    python docs/reference.py
    python docs/reference.py --out=site/api

Pages are made from what each package exports, and from docstrings. The command fails,
and names it, where a public function, class or method has none.
"""

import argparse
import ast
import dataclasses
import importlib
import inspect
import pathlib
import pkgutil
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, NamedTuple

import ocjax
from ocjax import methods

OUT = pathlib.Path(__file__).parent / "api"
SKIPPED = ("ocjax.cli",)  # Of commands `ocjax COMMAND --help` tells.
ALONE = ("ocjax.detector", "ocjax.models")  # Modules of no package.
SECTIONS = ("Args", "Attributes", "Raises", "References", "Returns", "Yields")


class Part(NamedTuple):
    """A part of a page: some names of one module."""

    module: ModuleType
    names: list[str]
    titled: bool  # Whether the module gets a heading.


class Undocumented(Exception):
    """Something public has no docstring."""


def main() -> int:
    """Writes the pages; returns the exit status."""
    parser = argparse.ArgumentParser(description="Writes the API reference.")
    parser.add_argument("--out", type=pathlib.Path, default=OUT, help="folder")
    try:
        print(f"Wrote {len(write(parser.parse_args().out))} pages.")
    except Undocumented as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


def write(out: pathlib.Path) -> list[pathlib.Path]:
    """Writes `index.md` and a page for each package into a folder.

    Returns:
      The paths of the pages.

    Raises:
      Undocumented: a public function, class or method has no docstring.
    """
    pages = {name: page(name) for name in ("ocjax", *packages())}
    lines = ["# Reference", ""]
    for name in pages:
        first = inspect.cleandoc(importlib.import_module(name).__doc__ or "")
        lines.append(f"- [`{name}`]({name}.md): {first.splitlines()[0]}")
    texts = {"index": "\n".join(lines) + "\n"} | pages
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (out / f"{name}.md").write_text(text)
    return [out / f"{name}.md" for name in texts]


def packages() -> list[str]:
    """Names of the public packages below `ocjax`."""
    found = pkgutil.walk_packages(ocjax.__path__, "ocjax.")
    names = [module.name for module in found if module.ispkg]
    return sorted(n for n in names if n not in SKIPPED and "._" not in n)


def page(name: str) -> str:
    """The page of a package.

    Raises:
      Undocumented: a public function, class or method has no docstring.
    """
    package = importlib.import_module(name)
    lines = [f"# `{name}`", "", text_of(package, name), ""]
    for part in parts(package):
        if part.titled:
            title = part.module.__name__
            lines += [f"## `{title}`", "", text_of(part.module, title), ""]
        for public in part.names:
            lines += described(part.module, public)
    return "\n".join(lines).rstrip() + "\n"


def parts(package: ModuleType) -> list[Part]:
    """What a package exports; where it exports nothing, what its modules have."""
    if package is ocjax:
        return [_own(importlib.import_module(name)) for name in ALONE]
    names = exported(package)
    found = [n for n in names if not inspect.ismodule(getattr(package, n))]
    modules = [getattr(package, name) for name in names]
    modules = [m for m in modules if inspect.ismodule(m) and not _is_package(m)]
    if package is methods:
        modules += [
            sys.modules[made.__module__] for _, made in methods.METHODS.values()
        ]
    if not names:
        prefix = f"{package.__name__}."
        below = [prefix + m.name for m in pkgutil.iter_modules(package.__path__)]
        modules = [importlib.import_module(n) for n in below if "._" not in n]
    return [Part(package, found, False), *map(_own, modules)]


def exported(package: ModuleType) -> list[str]:
    """Names that `__init__.py` exports: `from a import b as b`, or in `__all__`."""
    tree = ast.parse(inspect.getsource(package))
    names = [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    ]
    own = [*names, *getattr(package, "__all__", ())]
    return [name for name in dict.fromkeys(own) if not name.startswith("_")]


def described(module: ModuleType, name: str) -> list[str]:
    """The lines about one name.

    Raises:
      Undocumented: it is a function or class, and it or a method has no docstring.
    """
    found, full = getattr(module, name), f"{module.__name__}.{name}"
    if inspect.isclass(found):
        return _of_class(found, name, full)
    if callable(found):
        return [f"### `{name}`", "", *_code(name, found), text_of(found, full), ""]
    if isinstance(found, Mapping):
        return [f"### `{name}`", "", f"Keys: {_keys(found)}.", ""]
    return [f"### `{name}`", "", f"`{found!r}`", ""]


def text_of(found: Any, full: str) -> str:
    """A docstring as Markdown.

    Raises:
      Undocumented: there is none.
    """
    doc = inspect.cleandoc(found.__doc__ or "")
    made = inspect.isclass(found) and doc.startswith(f"{found.__name__}(")
    if not doc or made:  # Dataclasses and named tuples make one themselves.
        raise Undocumented(f"{full} has no docstring.")
    doc = re.sub(r"`([^`<]+?)\s+<([^>]+)>`_", _link, doc)
    lines = []
    for block in re.split(r"\n\s*\n", doc):
        head, _, body = block.partition("\n")
        if head.rstrip(":") in SECTIONS and head.endswith(":"):
            lines += [f"**{head}**", "", *_items(head, textwrap.dedent(body)), ""]
        else:
            lines += [block, ""]
    return "\n".join(lines).rstrip()


def _own(module: ModuleType) -> Part:
    """A module's own public functions and classes, in their order."""
    here = [
        name
        for name, found in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(found) or inspect.isfunction(found))
        and found.__module__ == module.__name__
    ]
    return Part(module, here, True)


def _is_package(module: ModuleType) -> bool:
    return hasattr(module, "__path__")


def _link(match: re.Match[str]) -> str:
    return f"[{' '.join(match[1].split())}]({match[2]})"


def _items(head: str, body: str) -> list[str]:
    """The entries of a section; some sections are sentences."""
    if head in ("Returns:", "Yields:", "References:"):
        return [body]
    entries = re.split(r"\n(?=\S)", body)
    named = [re.match(r"([*\w, .]+): (.*)", entry, re.DOTALL) for entry in entries]
    return [
        f"- `{match[1]}`: {' '.join(match[2].split())}"
        if match
        else f"- {' '.join(entry.split())}"
        for match, entry in zip(named, entries, strict=True)
    ]


def _of_class(found: type, name: str, full: str) -> list[str]:
    lines = [f"### `{name}`", ""]
    fields = hasattr(found, "_fields") or dataclasses.is_dataclass(found)
    if fields:
        lines += _fence(_head(found))
    lines += [text_of(found, full), ""]
    if "__init__" in vars(found) and not fields:
        lines += [*_code(name, found), text_of(found.__init__, f"{full}.__init__"), ""]
    for key, method in _methods(found):
        if not isinstance(method, property):
            lines += [f"#### `{name}.{key}`", "", *_code(key, method)]
        else:
            lines += [f"#### `{name}.{key}`", ""]
        lines += [text_of(method, f"{full}.{key}"), ""]
    return lines


def _methods(found: type) -> Iterator[tuple[str, Any]]:
    fields = getattr(found, "__annotations__", {})
    for key, value in vars(found).items():
        if key.startswith("_") or key in fields:
            continue
        if isinstance(value, classmethod | staticmethod):
            yield key, getattr(found, key)
        elif inspect.isfunction(value) or isinstance(value, property):
            yield key, value


def _head(found: type) -> str:
    """The source of a class up to its methods: its fields, with their comments."""
    source = textwrap.dedent(inspect.getsource(found))
    (node,) = ast.parse(source).body
    assert isinstance(node, ast.ClassDef)
    fields = [n.lineno for n in node.body if isinstance(n, ast.AnnAssign)]
    defined = [n for n in node.body if isinstance(n, ast.FunctionDef)]
    above = [d.lineno for n in defined for d in [n, *n.decorator_list]]
    if not fields:
        return f"class {found.__name__}: ..."
    lines = source.splitlines()[: min(above) - 1 if above else None]
    first = fields[0] - 1
    while lines[first - 1].lstrip().startswith("#"):
        first -= 1
    head = f"class {found.__name__}:"
    return "\n".join([head, *lines[first:]]).rstrip()


def _code(name: str, found: Any) -> list[str]:
    """The signature, as it was written, without types."""
    try:
        parameters = list(inspect.signature(found).parameters.values())
    except ValueError:
        return []
    plain = [
        p.replace(annotation=inspect.Parameter.empty)
        for p in parameters
        if p.name != "self"
    ]
    said = re.sub(r" at 0x[0-9a-f]+", "", str(inspect.Signature(plain)))
    line = f"{name}{said}"
    if len(line) > 88:
        inner = ",\n    ".join(re.split(r", (?=\*,|\*{0,2}\w+(?:=|,|$))", said[1:-1]))
        line = f"{name}(\n    {inner},\n)"
    return _fence(line)


def _fence(code: str) -> list[str]:
    return ["```", code, "```", ""]


def _keys(found: Mapping) -> str:
    return ", ".join(f"`{key}`" for key in found)


if __name__ == "__main__":
    sys.exit(main())
