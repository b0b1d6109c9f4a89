"""What steps are for: reads that nothing needs, and steps that undo each other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from rods.envs.lexicon import GENERIC, stems
from rods.provenance import find_links
from rods.synthesis.meaning.trace import CallTrace
from rods.task import ToolSpec

ASKING = re.compile(
    r"\?|\b(what|which|who|when|where|how|show|display|list|see|view|check|verify|confirm|review"
    r"|tell|know|find|look|search|get|give|fetch|retrieve|pull|read|provide|report|inform|share"
    r"|determine|calculate|compute|work out|estimate|compare|count|identify|obtain|details?"
    r"|summary|update)\b",
    re.IGNORECASE,
)
SENTENCE = re.compile(r"(?<=[.?!;])\s+|\n")
REMOVING = re.compile(r"(cancel|delete|remove|undo|revoke|discard|unfollow|rm|close)(?![a-z])")
VERBS = frozenset({"get", "show", "display", "view", "read", "fetch", "retrieve", "return"})
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


def reads_for_nothing(trace: CallTrace) -> list[int]:
    """Positions of reads whose response feeds no later call and that the words do not ask for."""
    feeding = {link.producer for link in find_links(trace.calls, trace.responses)}
    return [
        position
        for position, call in enumerate(trace.calls)
        if trace.roles[position] == "read"
        and position not in feeding
        and not asked(trace.tools[call.name], trace.words[trace.turns[position]])
    ]


def asked(tool: ToolSpec, words: str) -> bool:
    """Whether some sentence asks for what a tool returns.

    It has a word of asking and a word of the tool's name, or two words of its document.
    """
    name = stems(tool.name) - GENERIC - VERBS
    about = stems(f"{tool.description} {' '.join(tool.returns)}") - GENERIC
    for sentence in SENTENCE.split(words):
        said = stems(sentence)
        if ASKING.search(sentence) and (name & said or len(about & said) > 1):
            return True
        if stems(tool.name.split("_")[0]) & said:  # "sort it", "what is the mean"
            return True
    return False


def undone_steps(trace: CallTrace) -> list[Undone]:
    """Pairs of writes of which the later one undoes the earlier one.

    A state is restored anywhere in the task; a thing is removed, or cancelled, in the turn that
    created it.
    """
    return [*_restored(trace), *_removed(trace)]


def _restored(trace: CallTrace) -> Iterator[Undone]:
    states = trace.states
    for second in range(1, len(trace.calls)):
        if states[second] == states[second + 1]:
            continue
        for first in range(second - 1, -1, -1):
            if states[first] != states[first + 1] and states[first] == states[second + 1]:
                yield Undone(first, second, "restores")
                break


def _removed(trace: CallTrace) -> Iterator[Undone]:
    links = find_links(trace.calls, trace.responses)
    taken = {(link.producer, link.consumer) for link in links}
    states = [state.data for state in trace.states]
    for second, call in enumerate(trace.calls):
        before, after = states[second], states[second + 1]
        gone, added = new_parts(after, before), new_parts(before, after)
        for first in range(trace.turns.index(trace.turns[second]), second):
            created = new_parts(states[first], states[first + 1])
            if trace.states[first] == trace.states[second + 1]:
                continue  # restored
            if created & gone and not added:
                yield Undone(first, second, "removes")
            elif created and (first, second) in taken and REMOVING.match(call.name):
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
