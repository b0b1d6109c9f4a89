"""What reads are for: reads that nothing needs."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

from rods.errors import NoProcessError, UserError
from rods.flows import find_links
from rods.grounding import says, spellings
from rods.provenance import Source, leaves
from rods.synthesis.meaning.asking import asked_for
from rods.synthesis.meaning.data import Scan
from rods.synthesis.meaning.trace import CallTrace

NAME = re.compile(r"[.\[]")  # ends the name of a parameter in a place, see `flows`
NUMBER = re.compile(r"\d+(?:\.\d+)?")
EXPRESSION = re.compile(r"[\d\s.,+\-*/%()]+")
AMOUNT = re.compile(
    r"\b(how (?:much|many)|totals?|sum|amounts?|differences?|altogether|balance|prices?|costs?)\b",
    re.IGNORECASE,
)


def reads_for_nothing(trace: CallTrace) -> list[int]:
    """Positions of reads that nothing needs.

    A read is needed if its response feeds a later call, if a later state differs without it, if the
    words ask for it, if it works out an amount that the words speak of, or if it is part of a
    search. A value that the words of the later call's turn state needs no read.
    """
    last_use = {
        link.producer: link.consumer  # links are in the order of their consumers
        for link in find_links(trace.calls, trace.responses)
        if trace.sources[link.consumer][NAME.split(link.parameter)[0]] > Source.HERE
    }
    reads = [position for position, role in enumerate(trace.roles) if role == "read"]
    needed = {
        position: last_use.get(position, len(trace.calls))
        for position in reads
        if position in last_use
        or trace.ablations[position].diverts
        or asked_for(trace, position)
        or _works_out(trace, position)
    }
    return [
        position
        for position in reads
        if position not in needed and not _searches(trace, position, needed)
    ]


def _searches(trace: CallTrace, position: int, needed: Mapping[int, int]) -> bool:
    """Whether a read looks for what a needed read of the same tool and turn finds.

    Both take one of several values that an earlier response listed with nothing that tells them
    apart, such as the ids of all orders, and the words do not state which one is needed. A search
    ends where what it found is used.

    Args:
        needed: positions of needed reads, each with that of the last call that its response feeds.
    """
    call, turn = trace.calls[position], trace.turns[position]
    return any(
        _sought_together(trace, position, found)
        for found, used in needed.items()
        if trace.calls[found].name == call.name and trace.turns[found] == turn and position < used
    )


def _sought_together(trace: CallTrace, position: int, found: int) -> bool:
    other, shown = trace.calls[found].arguments, trace.shown[: min(position, found)]
    unsaid = {name for name, source in trace.sources[found].items() if source > Source.HERE}
    return any(
        value != other[name] and any(_listed_together(one, value, other[name]) for one in shown)
        for name, value in trace.calls[position].arguments.items()
        if name in unsaid
    )


def _listed_together(shown: Scan, one: Any, two: Any) -> bool:
    """Whether a response has two values in one list, alone or in records of one field."""
    lists: dict[tuple[str, ...], list[Any]] = defaultdict(list)
    for entry in shown.entries:
        for name, items in entry.lists.items():
            lists[*entry.path, name] += items
        if entry.place is not None and len(entry.fields) == 1 and not entry.lists:
            lists[entry.path[:-1]] += entry.fields.values()
    return any(one in values and two in values for values in lists.values())


def _works_out(trace: CallTrace, position: int) -> bool:
    """Whether a read computes an amount that the words speak of, from numbers shown before.

    A computation needs no state: it gives the same in a task without a start state.
    """
    call, words = trace.calls[position], trace.words[trace.turns[position]]
    numbers = [*_numbers(call.arguments)]
    if len(numbers) < 2 or not AMOUNT.search(words):
        return False
    known = "\n".join((words, *trace.flat[:position]))
    if not all(any(says(known, text) for text in spellings(number)) for number in numbers):
        return False
    return _without_state(trace, position) == trace.flat[position]


def _numbers(value: Any) -> Iterator[int | float]:
    """The numbers among the scalars of a value, and those of expressions such as "2.5 + 30"."""
    for leaf in leaves(value):
        if isinstance(leaf, str) and EXPRESSION.fullmatch(leaf):
            texts = NUMBER.findall(leaf)
            yield from (float(text) if "." in text else int(text) for text in texts)
        elif isinstance(leaf, int | float) and not isinstance(leaf, bool):
            yield leaf


def _without_state(trace: CallTrace, position: int) -> str | None:
    """The response to a call in a task without a start state, or None if there is no such task."""
    bare = trace.task.model_copy(update={"start": {}})
    try:
        with closing(trace.env.open(bare)) as session:
            return session.call(trace.calls[position]).text
    except NoProcessError:
        raise
    except UserError:
        return None
