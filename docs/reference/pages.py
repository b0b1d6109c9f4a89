"""Completes a page: the text of a part of the reference stands where the page names it."""

from __future__ import annotations

import re

from reference import commands, departures, settings, suites

PARTS = {
    "settings": settings.text,
    "commands": commands.text,
    "departures": departures.text,
    "suites": suites.text,
}
PLACE = re.compile(r"^<!-- reference: (\w+) -->$", re.MULTILINE)


def complete(page: str) -> str:
    """The page with each part in its place.

    Raises:
        KeyError: there is no such part.
        UndescribedError: the code says nothing about what a part lists.
    """
    return PLACE.sub(lambda place: PARTS[place[1]](), page)
