"""Templates of HTML: every text in them is escaped and readable, whoever wrote it."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

ORDER = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Characters that change the order in which others are shown."""
_HIDDEN = ("Cc", "Cs", "Co", "Cn")  # categories of Unicode without a sign


def templates(*folders: Path) -> Environment:
    """The templates in these folders."""
    return Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        finalize=_finalize,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def readable(text: str) -> str:
    """The text with control characters, half characters and marks of direction as escapes."""
    if text.isprintable():
        return text
    return "".join(repr(c)[1:-1] if _strange(c) else c for c in text)


def cut(text: str, limit: int) -> str:
    """At most `limit` characters of the text, with a note if some are left out."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]} [… {len(text) - limit:,} characters left out]"


def _finalize(value: Any) -> Any:
    """What a template shows of a value, before it is escaped."""
    return readable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _strange(c: str) -> bool:
    if c in "\n\t":
        return False
    return c in ORDER or unicodedata.category(c) in _HIDDEN
