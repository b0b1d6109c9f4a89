"""The check of the finished site: it loads nothing from other places."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

LOADED = re.compile(  # what a browser fetches by itself; a link is followed by its reader
    r"""(?:<(?:script|img|iframe|source|video|audio)\b[^>]*?\ssrc=|<link\b[^>]*?\shref="""
    r"""|@import\s+(?:url\()?|url\()\s*["']?\s*((?:https?:)?//[^"'\s)>]+)"""
)


class LoadedError(Exception):
    """The site loads something from the network."""


def loaded(folder: Path) -> Iterator[str]:
    """What pages and style sheets load from other places, with the file."""
    for file in sorted(folder.rglob("*")):
        if file.suffix in (".html", ".css"):
            for address in LOADED.findall(file.read_text("utf-8")):
                yield f"{file.relative_to(folder)}: {address}"


def require_offline(folder: Path) -> None:
    """Refuse a site that needs the network.

    Raises:
        LoadedError: naming what it would load.
    """
    if found := [*loaded(folder)]:
        raise LoadedError("; ".join(found))
