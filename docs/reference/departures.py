"""What the modules say of the paper: where they depart from it, go beyond it or fill a gap of it.

It stands in a module's first docstring, in a paragraph that begins with one of `BEGINNINGS`; a list
that follows belongs to it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import rods
from reference.markdown import linked

FOLDER = Path(rods.__file__).parent
BEGINNINGS = {  # beginning of a paragraph -> heading on the page
    "Departure from the paper": "Otherwise than in the paper",
    "Open in the paper": "Left open by the paper",
    "Not in the paper": "Beyond the paper",
    "Departure from BFCL": "Otherwise than in BFCL",
    "Departure from EnvTuning": "Otherwise than in EnvTuning",
    "Open in EnvTuning": "Left open by EnvTuning",
    "Departure from DAPO": "Otherwise than in DAPO",
}
SAID = re.compile(rf"^({'|'.join(BEGINNINGS)}): (.*?)(?=\n\n(?!- )|\Z)", re.DOTALL | re.MULTILINE)


class Departure(NamedTuple):
    """One statement.

    Attributes:
        beginning: one of `BEGINNINGS`.
        module: by its full name.
    """

    beginning: str
    module: str
    text: str


def departures() -> Iterator[Departure]:
    """All statements, in the order of the modules' names."""
    for file in sorted(FOLDER.rglob("*.py")):
        module = ".".join(file.relative_to(FOLDER.parent).with_suffix("").parts)
        said = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
        for beginning, text in SAID.findall(said):
            yield Departure(beginning, module.removesuffix(".__init__"), text)


def text() -> str:
    """All statements as Markdown, by their beginning."""
    found, parts = [*departures()], []
    for beginning, heading in BEGINNINGS.items():
        parts.append(f"## {heading}")
        for each in (d for d in found if d.beginning == beginning):
            first, *rest = each.text.splitlines()
            body = "\n".join([first[:1].upper() + first[1:], *rest]).replace("\n", "\n  ")
            parts.append(linked(f"- **`{each.module}`.** {body}"))
    return "\n\n".join(parts)
