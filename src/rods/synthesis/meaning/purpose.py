"""What steps are for: reads that nothing needs, and steps that undo each other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from rods.envs.lexicon import GENERIC, READING, WORD, stem, stems
from rods.flows import find_links
from rods.grounding import stated
from rods.provenance import Source, leaves
from rods.synthesis.meaning.data import comparable
from rods.synthesis.meaning.mentions import spoken_stems
from rods.synthesis.meaning.trace import CallTrace

ASKING = re.compile(
    r"\?|\b(what|which|who|when|where|how|show|display|list|see|view|open|check|verify|confirm|review"
    r"|tell|know|find|look|peek|search|get|give|fetch|retrieve|pull|read|peruse|extract|provide"
    r"|report|inform|share|determine|ascertain|calculate|compute|work out|estimate|compar\w+|count"
    r"|identify|obtain|acquire|furnish|details?|summary|specifics|particulars|information)\b",
    re.IGNORECASE,
)
REMOVING = re.compile(r"(cancel|delete|remove|undo|revoke|discard|unfollow|rm|close)(?![a-z])")
NAME = re.compile(r"[.\[]")  # ends the name of a parameter in a place, see `flows`
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
    """Positions of reads whose response feeds no later call and that the words do not ask for.

    A value that the words of the later call's turn state needs no read.
    """
    feeding = {
        link.producer
        for link in find_links(trace.calls, trace.responses)
        if trace.sources[link.consumer][NAME.split(link.parameter)[0]] > Source.HERE
    }
    return [
        position
        for position, call in enumerate(trace.calls)
        if trace.roles[position] == "read"
        and position not in feeding
        and not asked_for(trace, position)
    ]


def asked_for(trace: CallTrace, position: int) -> bool:
    """Whether the words of a call's turn ask for it.

    They state a value that no other call of the turn takes, or they name what the tool is about: by
    the last word of its name; or, with a word of asking, by any of these or two of its document.
    """
    call, turn = trace.calls[position], trace.turns[position]
    words, tool = trace.words[turn], trace.tools[call.name]
    others = {
        str(leaf)
        for at, other in enumerate(trace.calls)
        if trace.turns[at] == turn and at != position
        for leaf in leaves(other.arguments)
    }
    for name, value in call.arguments.items():
        own = (leaf for leaf in leaves(value) if comparable(leaf) and str(leaf) not in others)
        if any(stated(leaf, words, name, tool.parameters.get(name)) for leaf in own):
            return True
    said = spoken_stems(words)
    topic = [stem(word.lower()) for word in WORD.findall(READING.sub("", tool.name))]
    schemas = (str(schema.get("description", "")) for schema in tool.parameters.values())
    document = (tool.description, *schemas, *tool.returns, *tool.returns.values())
    about = frozenset[str]().union(*map(stems, document)) - GENERIC
    if topic and topic[-1] in said - GENERIC:
        return True
    named = said.intersection(topic) - GENERIC
    return bool(ASKING.search(words)) and (bool(named) or len(about & said) > 1)


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
