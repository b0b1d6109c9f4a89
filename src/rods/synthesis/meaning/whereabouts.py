"""Where the values of a start state and of responses are, and which are of one record."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from rods.envs.state import State
from rods.synthesis.meaning.data import STATE_NAMES, Scan, parsed, scan

COMMON = 500  # records; a value of more of them, such as a status, identifies none


class Held:
    """The values of a state or of a response, and the scopes that they are in.

    Values are compared by their text: in files all keys are texts.
    """

    def __init__(self, found: Scan) -> None:
        self._scopes: dict[str, tuple[set[int], set[int]]] = {}  # innermost; with all around them
        self._by_name: dict[str, list[tuple[Any, int]]] = defaultdict(list)
        self._names: dict[str, set[tuple[str, int]]] = defaultdict(set)
        self._found = found
        for entry in found.entries:
            around = found.scopes(entry.scope)
            for name, value in entry.values() if around else ():
                inner, outer = self._scopes.setdefault(str(value), (set(), set()))
                inner.add(entry.scope)
                outer |= around
                self._by_name[name].append((value, entry.scope))
                self._names[str(value)].add((name, entry.scope))
        for value in [v for v, (inner, _) in self._scopes.items() if len(inner) > COMMON]:
            del self._scopes[value]

    def together(self, one: str, two: str) -> bool | None:
        """Whether two values are of one record; None if one of them is missing."""
        ones, twos = self._scopes.get(one), self._scopes.get(two)
        if not ones or not twos:
            return None
        return not (ones[0].isdisjoint(twos[1]) and twos[0].isdisjoint(ones[1]))

    def names(self, value: str, other: str) -> set[str]:
        """The names of a value in the records that it shares with another one."""
        return {name for name, scope in self._names.get(value, ()) if self._around(scope, other)}

    def of(self, names: Iterable[str], other: str) -> Iterator[Any]:
        """Values with one of these names that share a record with another value."""
        for name in names:
            for value, scope in self._by_name.get(name, ()):
                if self._around(scope, other):
                    yield value

    def _around(self, scope: int, value: str) -> bool:
        """Whether a scope and one of a value are the same, or one contains the other."""
        if value not in self._scopes:
            return False
        inner, outer = self._scopes[value]
        return scope in outer or not inner.isdisjoint(self._found.scopes(scope))


class Whereabouts:
    """The values of a start state and of the responses to a task's calls.

    Args:
        responses: in the order of the calls.
    """

    def __init__(self, start: State, responses: Iterable[str]) -> None:
        self._data = [_of_state(start), *map(_of_response, responses)]

    def together(self, one: Any, two: Any, before: int | None = None) -> bool | None:
        """Whether two values are of one record; None if nothing holds both.

        Args:
            before: position of a call; what is shown by it and later does not count.
        """
        found = [held.together(str(one), str(two)) for held in self._until(before)]
        return any(found) if any(same is not None for same in found) else None

    def names(self, value: Any, other: Any, before: int | None = None) -> set[str]:
        """The names of a value in the records that it shares with another one."""
        return set[str]().union(*(h.names(str(value), str(other)) for h in self._until(before)))

    def of(self, names: Iterable[str], other: Any) -> list[Any]:
        """Different values with one of these names that share a record with another value."""
        found = [value for held in self._data for value in held.of(names, str(other))]
        return list({str(value): value for value in found}.values())

    def _until(self, before: int | None) -> list[Held]:
        return self._data if before is None else self._data[: before + 1]


@lru_cache(maxsize=16)  # tasks of one environment often begin in the same state
def _of_state(state: State) -> Held:
    return Held(scan(state.data, STATE_NAMES))


@lru_cache(maxsize=256)  # a task is made and then judged
def _of_response(text: str) -> Held:
    return Held(scan(parsed(text)))
