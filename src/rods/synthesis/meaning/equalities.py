"""Equalities in start states: an item's price is its price in the catalogue.

Three kinds are learned from the start states of the seed tasks: two fields of each record of a
pattern; a field of a record and a field of the entry that the record names by its key, or else by
its first field in a list; and two fixed paths. An equality is learned if it held in enough
different instances and each time that both sides existed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from itertools import combinations, islice
from typing import Any, NamedTuple

from rods.envs.state import State
from rods.synthesis.meaning.data import STATE_NAMES, Entry, Path, scan

LEAST = 5  # different instances
VALUES = 3  # different values in them; fewer are equal by chance
MAX_FIELDS = 40  # of a record that are compared
MAX_PAIRS = 500_000  # of places in a start state that are compared
MAX_NAMED = 4  # entries of the same name that are compared
ENOUGH = 200  # instances that are kept of an equality
KEY = "<key>"  # stands for an entry's key among its fields


class Equality(NamedTuple):
    """Two places of a start state that are equal.

    Attributes:
        pattern: of the record.
        name: its field.
        by: its field that names the other entry, or "" if both fields are of the record itself.
        other: the pattern of the other entry; the record's own for a field of the record itself.
        other_name: the other field.
    """

    pattern: Path
    name: str
    by: str
    other: Path
    other_name: str

    def __str__(self) -> str:
        own = "/".join((*self.pattern, self.name))
        named = f" named by {self.by}" if self.by else ""
        return f"{own} = {'/'.join((*self.other, self.other_name))}{named}"


class Broken(NamedTuple):
    """An equality that a start state breaks.

    Attributes:
        path, other_path: the two records.
        values: the two values.
    """

    equality: Equality
    path: Path
    other_path: Path
    values: tuple[Any, Any]


@dataclass
class Equalities:
    """What the start states of the seed tasks show."""

    _held: dict[Equality, set[tuple[Path, Any]]] = field(default_factory=lambda: defaultdict(set))
    _broken: set[Equality] = field(default_factory=set)
    _seen: set[str] = field(default_factory=set)
    _learned: frozenset[Equality] | None = None

    def learn(self, start: Any) -> None:
        """Read a seed task's start state; the same state is read once."""
        digest = State(start).digest
        if not digest or digest in self._seen:
            return
        self._seen.add(digest)
        self._learned = None
        for found, same in islice(_compared(start), MAX_PAIRS):
            if not same:
                self._broken.add(found.equality)
            elif found.equality not in self._broken:
                instances = self._held[found.equality]
                if len(instances) < ENOUGH:
                    instances.add((found.path, found.values[0]))

    @property
    def learned(self) -> frozenset[Equality]:
        """The equalities that hold."""
        if self._learned is None:
            self._learned = frozenset(
                equality
                for equality, instances in self._held.items()
                if equality not in self._broken
                and len(instances) >= LEAST
                and len({value for _, value in instances}) >= VALUES
            )
        return self._learned

    def broken(self, start: Any) -> list[Broken]:
        """Where a start state breaks a learned equality."""
        return [found for found, same in self.judged(start) if not same]

    def judged(self, start: Any) -> Iterator[tuple[Broken, bool]]:
        """All places at which a learned equality applies, and whether it holds."""
        learned = self.learned
        patterns = {equality.pattern for equality in learned}
        for found, same in islice(_compared(start, patterns), MAX_PAIRS) if learned else ():
            if found.equality in learned:
                yield found, same


def _compared(start: Any, patterns: Container[Path] | None = None) -> Iterator[tuple[Broken, bool]]:
    """All pairs of places that an equality could join, and whether they are equal.

    Args:
        patterns: of the records to be read; by default all.
    """
    entries = scan(start, STATE_NAMES).entries
    keyed: dict[str, list[Entry]] = defaultdict(list)
    listed: dict[str, list[Entry]] = defaultdict(list)
    fixed: dict[str, Any] = {}
    for entry in entries:
        if entry.key is not None:
            keyed[entry.key].append(entry)
        elif entry.place and entry.fields:
            listed[str(next(iter(entry.fields.values())))].append(entry)
        if "*" not in entry.pattern and entry.fields:
            fixed |= {"/".join((*entry.path, n)): v for n, v in entry.fields.items()}
    if patterns is None or () in patterns:
        for (one, a), (two, b) in combinations(list(fixed.items())[:MAX_FIELDS], 2):
            yield Broken(Equality((), one, "", (), two), (), (), (a, b)), _same(a, b)
    for entry in entries:
        if patterns is not None and entry.pattern not in patterns:
            continue
        fields = _fields(entry)
        if "*" in entry.pattern:
            for (one, a), (two, b) in combinations(fields.items(), 2):
                equality = Equality(entry.pattern, one, "", entry.pattern, two)
                yield Broken(equality, entry.path, entry.path, (a, b)), _same(a, b)
        for by, key in fields.items():
            for other in (keyed.get(str(key)) or listed.get(str(key), []))[:MAX_NAMED]:
                if other is not entry:
                    yield from _joined(entry, by, other)


def _joined(entry: Entry, by: str, other: Entry) -> Iterator[tuple[Broken, bool]]:
    """Each field of an entry with each field of one that it names."""
    theirs = _fields(other)
    for name, a in _fields(entry).items():
        for other_name, b in theirs.items() if name != by else ():
            if other_name != KEY:
                equality = Equality(entry.pattern, name, by, other.pattern, other_name)
                yield Broken(equality, entry.path, other.path, (a, b)), _same(a, b)


def _fields(entry: Entry) -> dict[str, Any]:
    fields = dict(islice(entry.fields.items(), MAX_FIELDS))
    return fields if entry.key is None else {KEY: entry.key, **fields}


def _same(one: Any, two: Any) -> bool:
    """Whether two values are equal; a key writes a number as a text."""
    return bool(one == two) or (type(one) is not type(two) and str(one) == str(two))
