"""States and responses as flat entries, read with bounds.

An entry is one mapping of the data. Its pattern is its path, in which "*" replaces the keys of
collections and the positions in lists, so that all orders of a shop have one pattern. A collection
is a mapping from keys to records or lists. Each of its values, and each mapping in a list, begins a
scope: the entry and everything inside it. Two values are of one record if the scope of one contains
that of the other: an order contains its items, and two items do not contain each other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_NODES = 300_000
MAX_DEPTH = 12
MAX_TEXT = 200  # characters of a string that is compared
STATE_NAMES = 2  # upper levels of a state that are names: classes and their attributes
NO_SCOPE = -1
Path = tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """One mapping of the data, or a list in a collection.

    Attributes:
        pattern, path: see the module.
        scope: number of the innermost scope; `NO_SCOPE` outside all scopes.
        key: its key in a collection, else None.
        place: (position, length) in its list; None outside a list.
        fields: its comparable scalars by name.
        lists: its lists of comparable scalars by name; "" is the entry itself.
    """

    pattern: Path
    path: Path
    scope: int
    key: str | None
    place: tuple[int, int] | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    lists: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The last name in its pattern, such as that of its collection."""
        return next((part for part in reversed(self.pattern) if part != "*"), "")

    def values(self) -> Iterator[tuple[str, Any]]:
        """All comparable scalars with their names; the key has the collection's name."""
        if self.key is not None:
            yield self.name, self.key
        yield from self.fields.items()
        for name, items in self.lists.items():
            yield from ((name or self.name, item) for item in items)


@dataclass
class Scan:
    """Entries of the data, and the scope around each scope."""

    entries: list[Entry] = field(default_factory=list)
    around: list[int] = field(default_factory=list)

    def scopes(self, scope: int) -> set[int]:
        """A scope and all scopes around it."""
        found: set[int] = set()
        while scope != NO_SCOPE:
            found.add(scope)
            scope = self.around[scope]
        return found

    def new_scope(self, around: int) -> int:
        self.around.append(around)
        return len(self.around) - 1


def comparable(value: Any) -> bool:
    """Whether a value is a number or a short text, so that it can identify a thing."""
    if isinstance(value, str):
        return 0 < len(value) <= MAX_TEXT
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def parsed(response: str) -> Any:
    """The JSON value of a response, or None."""
    try:
        return json.loads(response)
    except (ValueError, RecursionError):
        return None


def scan(data: Any, names: int = 0) -> Scan:
    """The entries of plain data, at most `MAX_NODES` values and `MAX_DEPTH` levels of it.

    Args:
        names: upper levels whose keys are names, so that these levels are no collections.
    """
    found, left = Scan(), MAX_NODES
    root = NO_SCOPE if names else found.new_scope(NO_SCOPE)
    stack: list[tuple[Any, Entry]] = [(data, Entry((), (), root, None))]
    while stack and left > 0:
        value, entry = stack.pop()
        pattern, path, scope = entry.pattern, entry.path, entry.scope
        named = _named(value)
        inside = len(pattern) >= names and _is_collection([inner for _, inner in named])
        found.entries.append(entry)
        for name, inner in named[: max(0, left)]:
            left -= 1
            if comparable(inner):
                entry.fields[name] = inner
            elif len(path) >= MAX_DEPTH:
                continue
            elif inside or isinstance(inner, Mapping):
                fresh = inside or len(pattern) + 1 == names
                deeper = found.new_scope(scope) if fresh else scope
                to = (*pattern, "*" if inside else name), (*path, name)
                stack.append((inner, Entry(*to, deeper, name if inside else None)))
            else:
                items = _items(inner)
                for index, item in enumerate(items[: max(0, left)]):
                    left -= 1
                    if comparable(item):
                        entry.lists.setdefault(name, []).append(item)
                    elif isinstance(item, Mapping | list | tuple):
                        to = (*pattern, name, "*"), (*path, name, str(index))
                        place = (index, len(items))
                        stack.append((item, Entry(*to, found.new_scope(scope), None, place)))
    return found


def _named(value: Any) -> list[tuple[str, Any]]:
    """What a mapping holds by name; anything else under the name ""."""
    if isinstance(value, Mapping):
        return [(str(key), inner) for key, inner in value.items()]
    return [("", value)]


def _items(value: Any) -> Sequence[Any]:
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    return value if isinstance(value, list | tuple) else ()


def _is_collection(values: Sequence[Any]) -> bool:
    """Whether these values of a mapping are records or lists under keys that are data."""
    inner = [v for v in values if isinstance(v, Mapping | list | tuple)]
    if inner and len(inner) == len(values):
        return any(isinstance(v, Mapping) for v in inner) or len(inner) > 1
    records = [v for v in inner if isinstance(v, Mapping)]
    return len(records) > 1 and all(r.keys() == records[0].keys() for r in records[1:])
