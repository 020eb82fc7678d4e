"""Pages of the site that do not lie in docs/: what was measured, and the reference.

MkDocs calls these functions when it builds the site; `mkdocs.yml` names this file.
"""

import pathlib
import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = pathlib.Path(__file__).parents[1]
MEASURED = ("experiments", "benchmarks")  # Folders whose pages and pictures are shown.
SKIPPED = ("cli",)  # `ocjax COMMAND --help` is the reference of commands.


def on_config(config: MkDocsConfig) -> None:
    """Puts the reference last in the navigation."""
    assert config.nav is not None
    config.nav.append(
        {"Reference": [{f"ocjax.{name}": f"reference/{name}.md"} for name in rooms()]}
    )


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Adds the pages that lie elsewhere, and a page for each room of the package."""
    for folder in MEASURED:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".md", ".png"):
                name = path.relative_to(ROOT).as_posix()
                files.append(File.generated(config, name, abs_src_path=str(path)))
    for name in rooms():
        page = File.generated(
            config, f"reference/{name}.md", content=f"::: ocjax.{name}\n"
        )
        files.append(page)


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Mends links out of docs/, since the site has no such folder."""
    if page.file.src_uri.startswith(MEASURED):
        return markdown
    return re.sub(rf"\]\(\.\./({'|'.join(MEASURED)})/", r"](\1/", markdown)


def rooms() -> list[str]:
    """Names of the public packages and modules directly below `ocjax`."""
    below = (ROOT / "ocjax").iterdir()
    names = {p.stem for p in below if p.suffix == ".py" or (p / "__init__.py").exists()}
    return sorted(n for n in names if not n.startswith("_") and n not in SKIPPED)
