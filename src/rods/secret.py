"""Keeps secrets of the process environment, and what a terminal obeys, out of what is shown.

An exception may quote whatever it was raised for: a header, an address, a setting.
"""

from __future__ import annotations

import os
import re

NAMES = re.compile(r"key|token|secret|passw|passphrase|credential|auth", re.IGNORECASE)
LEAST = 8  # characters; shorter values are placeholders such as EMPTY and may stand in any text
MARK = "***"
_declared: set[str] = set()


def declare(variable: str) -> None:
    """From now on this environment variable holds a secret, whatever its name."""
    _declared.add(variable)


def hidden(text: str) -> str:
    """The text without the secrets."""
    values = set[str]()
    for name, value in os.environ.items():
        if name in _declared or NAMES.search(name):
            values |= {value.strip(), *(line.strip() for line in value.splitlines())}
    for value in sorted(values, key=len, reverse=True):  # one may be a part of another
        if len(value) >= LEAST:
            text = text.replace(value, MARK)
    return text


def shown(text: str, size: int) -> str:
    """One line of at most so many characters, without secrets and control characters."""
    return " ".join(plain(hidden(text)).split())[:size]


def plain(text: str, keep: str = "") -> str:
    """Blanks for characters that cannot be printed: terminals obey some, stores refuse some."""
    return "".join(c if c.isprintable() or c in keep else " " for c in text)
