"""Names and values in a snapshot of a session's state, read with bounds."""

from __future__ import annotations

import difflib
import re
from collections.abc import Container, Iterator
from itertools import islice
from typing import Any

from rods.envs.lexicon import GENERIC, stems

MAX_NODES = 20_000
MAX_DEPTH = 12
MAX_STRING = 60
MAX_COMPARED = 4_000
IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]{2,39}")


def mentions(text: str, value: str) -> bool:
    """Whether a text contains a value as a whole: 2012 does not contain 12."""
    at = text.find(value) if value else -1
    while at >= 0:
        before, after = text[at - 1 : at] if at else "", text[at + len(value) : at + len(value) + 1]
        if not (before.isalnum() and value[0].isalnum()) and not (
            after.isalnum() and value[-1].isalnum()
        ):
            return True
        at = text.find(value, at + 1)
    return False


class LiveState:
    """A snapshot of any shape; everything except plain data is ignored."""

    def __init__(self, snapshot: Any) -> None:
        self._snapshot = snapshot
        self._strings: dict[str, None] = {}
        self._whole = self._read(snapshot)

    def _read(self, snapshot: Any) -> bool:
        """Collect the short strings; False if the bounds left something unread."""
        left, stack, whole = MAX_NODES, [(snapshot, 0)], isinstance(snapshot, dict)
        while stack and left > 0:
            item, depth = stack.pop()
            left -= 1
            if isinstance(item, str):
                if 0 < len(item) <= MAX_STRING:
                    self._strings[item] = None
            elif isinstance(item, dict | list | tuple | set):
                inner = [*item.keys(), *item.values()] if isinstance(item, dict) else list(item)
                if depth < MAX_DEPTH:
                    whole = whole and len(inner) <= left
                    stack += [(value, depth + 1) for value in inner[:left]]
                else:
                    whole = whole and not inner
        return whole and not stack

    def holds(self, value: str) -> bool:
        """Whether a string is a key or a value anywhere in the state."""
        return value in self._strings

    def lacks(self, value: str) -> bool:
        """Whether a string is certainly not in the state, because all of it was read."""
        return self._whole and len(value) <= MAX_STRING and not self.holds(value)

    def closest(self, value: str, seen: str) -> str:
        """The string of the state that is most like `value` and that the agent has seen, or "".

        Args:
            seen: all text that the agent was shown; only strings in it are returned.
        """
        if not 2 <= len(value) <= MAX_STRING:
            return ""
        size = len(value)
        fitting = (s for s in self._strings if s != value and size / 2 <= len(s) <= size * 2)
        known = [s for s in islice(fitting, MAX_COMPARED) if mentions(seen, s)]
        return next(iter(difflib.get_close_matches(value, known, n=1, cutoff=0.7)), "")

    def collection(self, argument: str, without: Container[str] = ()) -> str:
        """The name under which the state keeps values for an argument, or "".

        Args:
            without: names to leave out, such as those of classes.
        """
        topic = stems(argument) - GENERIC
        best = max(
            (
                (len(topic & stems(n)) / len(stems(n)), n)
                for n in _names(self._snapshot)
                if n not in without
            ),
            default=(0.0, ""),
        )
        return best[1] if best[0] > 0 else ""


def _names(snapshot: Any) -> Iterator[str]:
    """Names of collections on the two upper levels, which hold attributes; deeper keys are data."""
    if not isinstance(snapshot, dict):
        return
    for key, value in list(snapshot.items())[:200]:
        inner = list(value.items())[:200] if isinstance(value, dict) else []
        for name, held in [(key, value), *inner]:
            full = isinstance(held, dict | list | set) and bool(held)
            if full and isinstance(name, str) and IDENTIFIER.fullmatch(name) and stems(name):
                yield name
