"""Short strings of a state, to try a tool with: many are ids that it takes."""

from __future__ import annotations

from collections import deque
from itertools import chain, zip_longest
from typing import Any

NODES = 20_000  # of a state that are looked at
MOST = 200  # strings that are kept
LONGEST = 40


def strings_of(value: Any) -> list[str]:
    """Short strings of a state, from each kind of place in turn: ids come early, field names late.

    A kind of place is a path in which all keys of a mapping of records count as one.
    """
    groups: dict[str, dict[str, None]] = {}
    fields: dict[str, None] = {}
    left, queue = NODES, deque([("", value)])
    while queue and left:
        path, item = queue.popleft()
        left -= 1
        if isinstance(item, dict):
            records = bool(path) and all(isinstance(v, dict | list) for v in item.values())
            names = groups.setdefault(f"{path}.*", {}) if records else fields
            names.update(dict.fromkeys(filter(_short, item)))
            queue += [(f"{path}.{'*' if records else k}", v) for k, v in item.items()]
        elif isinstance(item, list):
            queue += [(f"{path}[]", inner) for inner in item]
        elif _short(item):
            groups.setdefault(path, {})[item] = None
    mixed = chain.from_iterable(zip_longest(*groups.values()))
    return list(dict.fromkeys([*filter(None, mixed), *fields]))[:MOST]


def _short(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST
