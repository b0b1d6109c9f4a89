"""Whether the words of a turn ask for a read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rods.envs.lexicon import GENERIC, READING, STOP, WORD, alike, stem, stems
from rods.grounding import says, stated
from rods.provenance import leaves
from rods.synthesis.meaning.data import Scan, comparable
from rods.synthesis.meaning.mentions import spoken_stems, word_stems
from rods.synthesis.meaning.trace import CallTrace

ASKING = re.compile(
    r"\?|\b(what|which|who|when|where|how|show|display|list|see|view|open|check|verify|confirm|review"
    r"|tell|know|find|look|peek|search|get|give|fetch|retrieve|pull|read|peruse|extract|provide"
    r"|report|inform|share|determine|ascertain|calculate|compute|work out|estimate|compar\w+|count"
    r"|identify|obtain|acquire|furnish|details?|summary|specifics|particulars|information)\b",
    re.IGNORECASE,
)
CONDITION = re.compile(r"\b(if|in case|unless|otherwise|or else|whether|depending on)\b", re.I)
LETTERS = 3  # a shorter text of a record is no name


def asked_for(trace: CallTrace, position: int) -> bool:
    """Whether the words of a call's turn ask for it.

    They state a value that no other call of the turn takes, or a name of what it identifies; or
    they name what the tool is about: by the last word of its name, or with a condition by any of
    these, or with a word of asking by any of these or two of its document.
    """
    words, tool = trace.words[trace.turns[position]], trace.tools[trace.calls[position].name]
    if _states_its_values(trace, position) or _names_its_records(trace, position):
        return True
    said = spoken_stems(words) | alike(word_stems(words))
    name = (word.lower() for word in WORD.findall(READING.sub("", tool.name)))
    topic = [stem(word) for word in name if word not in STOP]
    if topic and topic[-1] in said - GENERIC:
        return True
    if (ASKING.search(words) or CONDITION.search(words)) and said.intersection(topic) - GENERIC:
        return True
    schemas = (str(schema.get("description", "")) for schema in tool.parameters.values())
    document = (tool.description, *schemas, *tool.returns, *tool.returns.values())
    about = frozenset[str]().union(*map(stems, document)) - GENERIC
    return bool(ASKING.search(words)) and len(about & said) > 1


def _states_its_values(trace: CallTrace, position: int) -> bool:
    call, words = trace.calls[position], trace.words[trace.turns[position]]
    schemas = trace.tools[call.name].parameters
    return any(stated(leaf, words, n, schemas.get(n)) for n, leaf in _own_values(trace, position))


def _own_values(trace: CallTrace, position: int) -> Iterator[tuple[str, Any]]:
    """The values of a call that no other call of its turn takes, with their parameters."""
    others = _values_of_others(trace, position)
    for name, value in trace.calls[position].arguments.items():
        for leaf in leaves(value):
            if comparable(leaf) and str(leaf) not in others:
                yield name, leaf


def _values_of_others(trace: CallTrace, position: int) -> set[str]:
    return {
        str(leaf)
        for at, other in enumerate(trace.calls)
        if trace.turns[at] == trace.turns[position] and at != position
        for leaf in leaves(other.arguments)
    }


def _names_its_records(trace: CallTrace, position: int) -> bool:
    """Whether the words name the thing that a value of the call is the id of.

    An earlier response showed both in one of several records. A record of which another call of the
    turn takes a value has its purpose there.
    """
    words = trace.words[trace.turns[position]].lower()
    others = _values_of_others(trace, position)
    return any(
        _named(shown, leaf, words, others)
        for _, leaf in _own_values(trace, position)
        for shown in trace.shown[:position]
    )


def _named(shown: Scan, value: Any, words: str, others: set[str]) -> bool:
    """Whether words in lower case have a text that only records with this value have.

    Args:
        others: values that other calls take; the words state them for these calls.
    """
    records = [
        dict(entry.fields) if entry.key is None else {**entry.fields, "": entry.key}
        for entry in shown.entries
        if entry.key is not None or entry.place is not None
    ]
    taken = {other.lower() for other in others}
    own = [record for record in records if value in record.values()]
    strange = [record for record in records if value not in record.values()]
    return any(
        text != value
        and _is_said(text, words)
        and text.lower() not in taken
        and all(other.get(name) != text for other in strange)
        for record in own
        if others.isdisjoint(map(str, record.values()))
        for name, text in record.items()
    )


def _is_said(text: Any, words: str) -> bool:
    return isinstance(text, str) and len(text) >= LETTERS and says(words, text.lower())
