"""Keeps the secrets of the process environment out of what is stored and shown.

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
