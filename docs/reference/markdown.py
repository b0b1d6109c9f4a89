"""Markdown that the parts of the reference are written in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

PAGE = re.compile(r"\bdocs/([\w-]+\.md)")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a bar within a cell stays in it."""
    lines = [header, ["---"] * len(header), *rows]
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def linked(text: str) -> str:
    """Names of pages, as code has them, are links."""
    return PAGE.sub(r"[\1](\1)", text)
