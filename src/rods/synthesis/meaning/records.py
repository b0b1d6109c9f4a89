"""Values of one record: the city, state and zip of one address; an order and its item.

The seed tasks show which two arguments, of one call or of two calls, always take their values from
one record of the start state or of a response before the call. An address that somebody states and
that exists nowhere proves nothing, and is no fault.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product
from typing import Any, NamedTuple

from rods.flows import SMALL
from rods.provenance import leaves
from rods.synthesis.meaning.data import comparable
from rods.synthesis.meaning.trace import CallTrace
from rods.synthesis.meaning.whereabouts import Whereabouts
from rods.task import Call

# What the seed tasks must show at least: different pairs of values, and different values of each
# argument, if both are of one call and if they are of two.
ONE_CALL, TWO_CALLS = (3, 2), (10, 5)
EXCEPTIONS = 0.02  # largest share of these that are not of one record
MAX_CALLS = 30  # of a task that are compared with each other
RARE = 0.1  # of a pair's values: names of fewer of them may hold them by chance
Argument = tuple[str, str]  # tool and parameter
Pair = tuple[Argument, Argument, bool]  # two arguments, and whether they are of one call


class Mixed(NamedTuple):
    """Two values that should be of one record and are not.

    Attributes:
        first, second: (position of the call, parameter).
    """

    first: tuple[int, str]
    second: tuple[int, str]
    values: tuple[Any, Any]


class Partner(NamedTuple):
    """An argument that takes its value from the same record as another one.

    Attributes:
        one_call: whether both are of one call; else the partner is of an earlier call.
        names: those of the other one's values in the records that they share.
    """

    argument: Argument
    one_call: bool
    names: tuple[str, ...]


@dataclass
class RecordPairs:
    """What the seed tasks show about pairs of arguments."""

    _kept: dict[Pair, set[tuple[Any, Any]]] = field(default_factory=lambda: defaultdict(set))
    _mixed: dict[Pair, set[tuple[Any, Any]]] = field(default_factory=lambda: defaultdict(set))
    _names: dict[tuple[Pair, int], Counter[str]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    _partners: dict[Argument, list[Partner]] | None = None
    _pairs: frozenset[Pair] | None = None

    def learn(self, trace: CallTrace) -> None:
        """Count the pairs of a seed task's values that are somewhere in its data."""
        self._partners = self._pairs = None
        where = _whereabouts(trace)
        for pair, found, together in _pairs(trace, where):
            known = (self._kept if together else self._mixed)[pair]
            if together and found.values not in known:
                (one, two), position = found.values, found.second[0]
                self._names[pair, 0].update(where.names(one, two, position))
                self._names[pair, 1].update(where.names(two, one, position))
            known.add(found.values)

    def expects(self, pair: Pair) -> bool:
        """Whether values of these two arguments are of one record."""
        kept, mixed = self._kept.get(pair, set()), self._mixed.get(pair, ())
        pairs, each = ONE_CALL if pair[2] else TWO_CALLS
        if len(kept) < pairs or len(mixed) > EXCEPTIONS * len(kept):
            return False
        return all(len({values[side] for values in kept}) >= each for side in (0, 1))

    @property
    def pairs(self) -> list[Pair]:
        """All pairs of arguments whose values are of one record."""
        return sorted(self._expected)

    @property
    def _expected(self) -> frozenset[Pair]:
        if self._pairs is None:
            self._pairs = frozenset(pair for pair in self._kept if self.expects(pair))
        return self._pairs

    def partners(self, argument: Argument) -> Sequence[Partner]:
        """The arguments whose values, if they come first, fix the record of this one's value."""
        if self._partners is None:
            self._partners = defaultdict(list)
            for one, two, one_call in self.pairs:
                pair = (one, two, one_call)
                self._partners[two].append(Partner(one, one_call, self._names_of(pair, 1)))
                if one_call:
                    self._partners[one].append(Partner(two, one_call, self._names_of(pair, 0)))
        return self._partners.get(argument, ())

    def _names_of(self, pair: Pair, side: int) -> tuple[str, ...]:
        counts, least = self._names[pair, side], RARE * len(self._kept[pair])
        return tuple(sorted(name for name, count in counts.items() if count >= least))

    def mixed(self, trace: CallTrace) -> list[Mixed]:
        """Values of different records where the seed tasks take them from one."""
        return [found for found, together in self.judged(trace) if not together]

    def judged(self, trace: CallTrace) -> list[tuple[Mixed, bool]]:
        """All pairs of a task's values that should be of one record, and whether they are."""
        used = {call.name for call in trace.calls}
        if not any(one in used and two in used for (one, _), (two, _), _ in self._expected):
            return []
        found = _pairs(trace, _whereabouts(trace))
        return [(values, together) for pair, values, together in found if pair in self._expected]


def _whereabouts(trace: CallTrace) -> Whereabouts:
    return Whereabouts(trace.loaded, trace.flat)


def _pairs(trace: CallTrace, where: Whereabouts) -> Iterator[tuple[Pair, Mixed, bool]]:
    """Pairs of values that are both in a task's data, and whether they are of one record.

    A value of an earlier call counts if its tool is not called again before the later call.
    """
    latest: dict[str, int] = {}
    for position, call in enumerate(trace.calls[:MAX_CALLS]):
        own = [(name, leaf) for name, leaf in identifying(call)]
        for (i, one), (j, two) in combinations(own, 2):
            if i != j and (together := where.together(one, two, position)) is not None:
                pair = (call.name, i), (call.name, j), True
                yield pair, Mixed((position, i), (position, j), (one, two)), together
        for tool, at in latest.items():
            for (i, one), (j, two) in product(identifying(trace.calls[at]), own):
                pair = (tool, i), (call.name, j), False
                if pair[0] == pair[1]:
                    continue
                if (together := where.together(one, two, position)) is not None:
                    yield pair, Mixed((at, i), (position, j), (one, two)), together
        latest[call.name] = position


def identifying(call: Call) -> list[tuple[str, Any]]:
    """The values of a call that are unlikely to be equal to others by chance."""
    return [
        (name, leaf)
        for name, value in call.arguments.items()
        for leaf in leaves(value)
        if comparable(leaf) and not (isinstance(leaf, int | float) and abs(leaf) <= SMALL)
    ]
