"""Mentions: the values that responses show and calls use, and the words that describe them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from rods.envs.lexicon import READING, stems
from rods.provenance import leaves
from rods.synthesis.meaning.data import Entry, Scan, comparable
from rods.synthesis.meaning.trace import Conversation

WORD = re.compile(r"[^\W_]{3,}")
MAX_WORDS = 4_000  # characters of a turn's words that are read


class Mention(NamedTuple):
    """A value that a response showed or a call used.

    Attributes:
        at: position of the call.
        kind: name of its field, parameter, list or collection.
        listed: (position, length) in its list; None outside a list.
        depth: levels of the response above its record; 0 for what the response is about.
        about: stems of the words that describe it.
        numbers: the numbers of its record by field.
    """

    value: Any
    at: int
    kind: str
    listed: tuple[int, int] | None
    depth: int
    about: frozenset[str]
    numbers: dict[str, Any]


def mentions(trace: Conversation, position: int) -> Iterator[Mention]:
    """What one call and its response mention."""
    call = trace.calls[position]
    topic = stems(READING.sub("", call.name))
    used = topic | stems(" ".join(str(v) for v in leaves(call.arguments)))
    for name, value in call.arguments.items():
        others = {n: v for n, v in call.arguments.items() if n != name}
        about = topic | stems(name) | stems(" ".join(str(v) for v in leaves(others)))
        for leaf in filter(comparable, leaves(value)):
            yield Mention(leaf, position, name, None, 0, about, {})
    shown = trace.shown[position]
    described = _descriptions(shown)
    for entry in shown.entries:
        yield from _of_entry(entry, position, used, used | described(entry))


def _descriptions(shown: Scan) -> Callable[[Entry], frozenset[str]]:
    """Stems of an entry, of all inside its record, and of the records around it."""
    own: dict[int, set[str]] = defaultdict(set)
    inside: dict[int, set[str]] = defaultdict(set)
    for entry in shown.entries:
        for words in (*(f"{name} {value}" for name, value in entry.values()), *entry.path):
            own[entry.scope] |= stems(words)
    for scope, words_of in own.items():
        for around in shown.scopes(scope):
            inside[around] |= words_of
    return lambda entry: frozenset(inside[entry.scope]).union(
        *(own[scope] for scope in shown.scopes(entry.scope))
    )


def _of_entry(
    entry: Entry, position: int, used: frozenset[str], about: frozenset[str]
) -> Iterator[Mention]:
    numbers = {n: v for n, v in entry.fields.items() if isinstance(v, int | float)}
    depth = len(entry.path)
    if entry.key is not None:
        yield Mention(entry.key, position, entry.name, None, depth, about, numbers)
    for name, value in entry.fields.items():
        yield Mention(value, position, name or entry.name, entry.place, depth, about, numbers)
    for name, items in entry.lists.items():
        for i, item in enumerate(items):
            described = used | stems(f"{name} {item}")
            place = (i, len(items))
            yield Mention(item, position, name or entry.name, place, depth, described, numbers)


def spoken_stems(words: str) -> frozenset[str]:
    """Stems of all words, and their beginnings: "Friday" also speaks for "Fri"."""
    found = set(word_stems(words))
    for word in WORD.findall(words[:MAX_WORDS].lower()):
        found.update(word[:end] for end in range(3, len(word) + 1))
    return frozenset(found)


def word_stems(words: str) -> frozenset[str]:
    """Stems of all words, and of joined neighbours."""
    starts = range(0, min(len(words), MAX_WORDS), 400)
    return frozenset[str]().union(*(stems(words[start : start + 400]) for start in starts))
