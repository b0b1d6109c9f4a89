"""Removes secrets of the process environment and control characters from text that is shown.

An exception may quote a header, an address or a setting.
"""

from __future__ import annotations

import os
import re

NAMES = re.compile(r"key|token|secret|passw|passphrase|credential|auth", re.IGNORECASE)
LEAST = 8  # characters; shorter values are placeholders such as EMPTY, which may occur in any text
MARK = "***"
_declared: set[str] = set()


def declare(variable: str) -> None:
    """Treat this environment variable as a secret from now on."""
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
    """Blanks for unprintable characters: terminals interpret some, stores refuse some."""
    return "".join(c if c.isprintable() or c in keep else " " for c in text)
