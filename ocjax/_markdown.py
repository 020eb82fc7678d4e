"""Tables in Markdown, and pages that hold them."""

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    r"""Table of rows below their header; a `|` within a cell becomes `\|`."""
    lines = [header, ["---"] * len(header), *rows]
    escaped = ([cell.replace("|", r"\|") for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in escaped)


def replaced(page: str, begin: str, end: str, text: str) -> str:
    """A page with another text between two marker lines.

    Raises:
      ValueError: a marker is missing.
    """
    before, begun, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not begun or not ended:
        raise ValueError(f"the lines {begin} and {end} are missing.")
    return f"{before}{begin}\n{text}\n{end}{after}"
