"""Values of one record: the city, state and zip of one address; an order and its item.

The seed tasks show which two arguments, of one call or of two calls, always take their values from
one record of the start state or of a response before the call. An address that somebody states and
that exists nowhere proves nothing, and is no fault.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations, product
from typing import Any, NamedTuple

from rods.envs.state import State
from rods.flows import SMALL
from rods.provenance import leaves
from rods.synthesis.meaning.data import STATE_NAMES, Scan, comparable, scan
from rods.synthesis.meaning.trace import CallTrace
from rods.task import Call

# What the seed tasks must show at least: different pairs of values, and different values of each
# argument, if both are of one call and if they are of two.
ONE_CALL, TWO_CALLS = (3, 2), (10, 5)
EXCEPTIONS = 0.02  # largest share of these that are not of one record
MAX_CALLS = 30  # of a task that are compared with each other
COMMON = 500  # records; a value of more of them, such as a status, identifies none
Argument = tuple[str, str]  # tool and parameter
Pair = tuple[Argument, Argument, bool]  # two arguments, and whether they are of one call
Scopes = dict[str, tuple[set[int], set[int]]]


class Mixed(NamedTuple):
    """Two values that should be of one record and are not.

    Attributes:
        first, second: (position of the call, parameter).
    """

    first: tuple[int, str]
    second: tuple[int, str]
    values: tuple[Any, Any]


@dataclass
class RecordPairs:
    """What the seed tasks show about pairs of arguments."""

    _kept: dict[Pair, set[tuple[Any, Any]]] = field(default_factory=lambda: defaultdict(set))
    _mixed: dict[Pair, set[tuple[Any, Any]]] = field(default_factory=lambda: defaultdict(set))

    def learn(self, trace: CallTrace) -> None:
        """Count the pairs of a seed task's values that are somewhere in its data."""
        for pair, found, together in _pairs(trace):
            (self._kept if together else self._mixed)[pair].add(found.values)

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
        return sorted(pair for pair in self._kept if self.expects(pair))

    def mixed(self, trace: CallTrace) -> list[Mixed]:
        """Values of different records where the seed tasks take them from one."""
        return [found for found, together in self.judged(trace) if not together]

    def judged(self, trace: CallTrace) -> list[tuple[Mixed, bool]]:
        """All pairs of a task's values that should be of one record, and whether they are."""
        return [(found, together) for pair, found, together in _pairs(trace) if self.expects(pair)]


class Whereabouts:
    """The scopes of each value, in a start state and in the responses to a task's calls."""

    def __init__(self, trace: CallTrace) -> None:
        self._data = [_of_state(trace.loaded), *(_scopes(found) for found in trace.shown)]

    def together(self, one: Any, two: Any, before: int) -> bool | None:
        """Whether two values are of one record; None if nothing holds both.

        Args:
            before: position of a call; what is shown by it and later does not count.
        """
        both = False
        for scopes in self._data[: before + 1]:
            ones, twos = scopes.get(str(one)), scopes.get(str(two))
            if ones and twos:
                both = True
                if not (ones[0].isdisjoint(twos[1]) and twos[0].isdisjoint(ones[1])):
                    return True
        return False if both else None


@lru_cache(maxsize=16)  # tasks of one environment often begin in the same state
def _of_state(state: State) -> Scopes:
    return _scopes(scan(state.data, STATE_NAMES))


def _scopes(found: Scan) -> Scopes:
    """The innermost scopes of each value, and these with all around them.

    Values are compared by their text: in files all keys are texts.
    """
    scopes: Scopes = {}
    for entry in found.entries:
        around = found.scopes(entry.scope)
        for _, value in entry.values() if around else ():
            inner, outer = scopes.setdefault(str(value), (set(), set()))
            inner.add(entry.scope)
            outer |= around
    return {value: sets for value, sets in scopes.items() if len(sets[0]) <= COMMON}


def _pairs(trace: CallTrace) -> Iterator[tuple[Pair, Mixed, bool]]:
    """Pairs of values that are both in a task's data, and whether they are of one record.

    A value of an earlier call counts if its tool is not called again before the later call.
    """
    where = Whereabouts(trace)
    latest: dict[str, int] = {}
    for position, call in enumerate(trace.calls[:MAX_CALLS]):
        own = [(name, leaf) for name, leaf in _values(call)]
        for (i, one), (j, two) in combinations(own, 2):
            if i != j and (together := where.together(one, two, position)) is not None:
                pair = (call.name, i), (call.name, j), True
                yield pair, Mixed((position, i), (position, j), (one, two)), together
        for tool, at in latest.items():
            for (i, one), (j, two) in product(_values(trace.calls[at]), own):
                pair = (tool, i), (call.name, j), False
                if pair[0] == pair[1]:
                    continue
                if (together := where.together(one, two, position)) is not None:
                    yield pair, Mixed((at, i), (position, j), (one, two)), together
        latest[call.name] = position


def _values(call: Call) -> list[tuple[str, Any]]:
    """The values of a call that are unlikely to be equal to others by chance."""
    return [
        (name, leaf)
        for name, value in call.arguments.items()
        for leaf in leaves(value)
        if comparable(leaf) and not (isinstance(leaf, int | float) and abs(leaf) <= SMALL)
    ]
