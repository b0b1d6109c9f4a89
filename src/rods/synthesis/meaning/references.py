"""References: words that point to a value that they do not state.

A value that the words do not state, but that was shown or used before, is referred to. Its rivals
are all other values of its kind so far that the words do not rule out, see `pointing`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from rods.envs.lexicon import GENERIC, stems
from rods.flows import SMALL
from rods.grounding import stated
from rods.provenance import Source, leaves
from rods.synthesis.meaning.data import comparable
from rods.synthesis.meaning.mentions import Mention, mentions, spoken_stems
from rods.synthesis.meaning.pointing import extreme, refers_to_each, ruled_out
from rods.synthesis.meaning.trace import Conversation

TOKEN = re.compile(r"[\w#@][\w@.:/-]*\w")


class Reference(NamedTuple):
    """A value that a call takes and that the words of its turn only refer to.

    Attributes:
        candidates: all values that the words could mean, the right one first.
    """

    turn: int
    position: int
    parameter: str
    candidates: tuple[Any, ...]

    @property
    def ambiguous(self) -> bool:
        return len(self.candidates) > 1


def references(trace: Conversation) -> list[Reference]:
    """All references of a task, each with the values that its words could mean."""
    known: list[Mention] = []
    read = 0  # calls whose mentions are known; most tasks need those of few calls
    found = []
    for position, call in enumerate(trace.calls):
        turn = trace.turns[position]
        for name, source in trace.sources[position].items():
            if not Source.HERE < source < Source.NOWHERE:
                continue
            for leaf in leaves(call.arguments[name]):
                if _given(trace, position, name, leaf):
                    continue
                known += (m for at in range(read, position) for m in mentions(trace, at))
                read = position
                if _refers(name, leaf, known):
                    rivals = _rivals(trace, position, name, leaf, known)
                    found.append(Reference(turn, position, name, (leaf, *rivals)))
    return found


def ambiguous_references(trace: Conversation) -> list[Reference]:
    """References that could mean more than one value."""
    return [found for found in references(trace) if found.ambiguous]


def _given(trace: Conversation, position: int, name: str, leaf: Any) -> bool:
    """Whether a document or the words state a value, or it can identify nothing."""
    words = trace.words[trace.turns[position]]
    schema = trace.tools[trace.calls[position].name].parameters.get(name, {})
    documented = stated(leaf, json.dumps(schema, ensure_ascii=False))
    return not comparable(leaf) or documented or stated(leaf, words, name, schema)


def _refers(name: str, leaf: Any, known: Sequence[Mention]) -> bool:
    """Whether a value that nothing states must be understood from the words; not if habit gives
    it."""
    if isinstance(leaf, int | float) and abs(leaf) <= SMALL:
        return any(m.value == leaf and stems(m.kind) & stems(name) for m in known)
    return True


def _rivals(
    trace: Conversation, position: int, name: str, leaf: Any, known: Sequence[Mention]
) -> list[Any]:
    """Other values of the kind that the words do not rule out; the values of the turn are none."""
    turn, words = trace.turns[position], trace.words[trace.turns[position]]
    taken = {
        str(value)
        for call in trace.task.turns[turn].ground_truth
        for value in leaves(call.arguments.get(name, ()))
    }
    if len(taken) > 1 and refers_to_each(words):  # "copy all of them" refers to each
        return []
    text = str(leaf)
    own = [m for m in known if str(m.value) == text]
    if not own:
        return [v for v in _in_text(text, trace.flat[:position]) if v not in taken]
    related = [m for m in own if stems(m.kind) & (stems(name) - GENERIC)] or own
    kinds = {m.kind for m in related}
    others: dict[str, list[Mention]] = {}
    for mention in known:
        if mention.kind in kinds and str(mention.value) not in taken:
            others.setdefault(str(mention.value), []).append(mention)
    if extreme(words, related, others):
        return []
    spoken, first = spoken_stems(words), trace.turns.index(turn)
    left = [ms for ms in others.values() if not ruled_out(related, ms, words, spoken, first)]
    return [ms[0].value for ms in left]


def _in_text(value: str, texts: Sequence[str]) -> list[str]:
    """Other words of the same form in the latest text that has a value."""
    for text in reversed(texts):
        tokens = dict.fromkeys(TOKEN.findall(text))
        if value in tokens:
            return [t for t in tokens if t != value and _form(t) == _form(value)]
    return []


def _form(text: str) -> str:
    """Letters and digits without their number: "P001" -> "a9"; a word without digits itself."""
    form = re.sub(r"\d+", "9", re.sub(r"[^\W\d_]+", "a", text))
    return form if "9" in form else text
