"""Steps that undo each other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from rods.flows import find_links
from rods.synthesis.meaning.trace import CallTrace

REMOVING = re.compile(r"(cancel|delete|remove|undo|revoke|discard|unfollow|rm|close)(?![a-z])")
MAX_NODES = 100_000  # of a state that are compared
MAX_WRITTEN = 400  # characters by which items of lists are compared


class Undone(NamedTuple):
    """Two steps of which the later one undoes the earlier one.

    Attributes:
        first, second: positions of the two calls.
        how: "restores" the state before the first, "removes" what it created, or "cancels" it.
    """

    first: int
    second: int
    how: Literal["restores", "removes", "cancels"]


def undone_steps(trace: CallTrace) -> list[Undone]:
    """Pairs of writes of one turn of which the later one undoes the earlier one."""
    writing = [turn for turn, left in zip(trace.turns, trace.ablations, strict=True) if left.writes]
    if len(writing) == len(set(writing)):  # no turn has two
        return []
    return [*_restored(trace), *_removed(trace)]


def _restored(trace: CallTrace) -> Iterator[Undone]:
    states = trace.states
    for second in range(1, len(trace.calls)):
        if states[second] == states[second + 1]:
            continue
        for first in range(second - 1, trace.turns.index(trace.turns[second]) - 1, -1):
            if states[first] != states[first + 1] and states[first] == states[second + 1]:
                yield Undone(first, second, "restores")
                break


def _removed(trace: CallTrace) -> Iterator[Undone]:
    states = [state.data for state in trace.states]
    taken: set[tuple[int, int]] | None = None
    for second, call in enumerate(trace.calls):
        before, after = states[second], states[second + 1]
        start = trace.turns.index(trace.turns[second])
        writes = [i for i in range(start, second) if trace.states[i] != trace.states[i + 1]]
        if not writes or trace.states[second] == trace.states[second + 1]:
            continue
        gone, added = new_parts(after, before), new_parts(before, after)
        for first in writes:
            created = new_parts(states[first], states[first + 1])
            if trace.states[first] == trace.states[second + 1]:
                continue  # restored
            if created & gone and not added:
                yield Undone(first, second, "removes")
            elif created and REMOVING.match(call.name):
                if taken is None:
                    links = find_links(trace.calls, trace.responses)
                    taken = {(link.producer, link.consumer) for link in links}
                if (first, second) in taken:
                    yield Undone(first, second, "cancels")


def new_parts(before: Any, after: Any) -> set[tuple[str, ...]]:
    """Paths to what a state has and the one before it had not: keys, and items of lists."""
    found: set[tuple[str, ...]] = set()
    stack: list[tuple[tuple[str, ...], Any, Any]] = [((), before, after)]
    left = MAX_NODES
    while stack and left > 0:
        path, old, new = stack.pop()
        left -= 1
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found.update((*path, str(key)) for key in new.keys() - old.keys())
            both = [key for key in new if key in old]
            stack += [((*path, str(key)), old[key], new[key]) for key in both]
        elif isinstance(old, tuple) and isinstance(new, tuple) and len(old) == len(new):
            stack += [((*path, str(i)), *pair) for i, pair in enumerate(zip(old, new, strict=True))]
        elif isinstance(old, list) and isinstance(new, list):
            more = Counter(_written(i) for i in new) - Counter(_written(i) for i in old)
            found.update((*path, item) for item in more)
    return found


def _written(item: Any) -> str:
    try:
        return repr(item)[:MAX_WRITTEN]
    except RecursionError:
        return ""
