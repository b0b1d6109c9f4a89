"""Stage III, ground: executed calls become what a user says.

Departure from the paper: wording by templates. A value that a response produced is referred to
("the last order id") where the reference is unambiguous, else it is stated; the same holds for a
value that the user named in an earlier turn ("the same file name"), in turns that are to refer
back. The plain voice says a phrase a call; the telling voice adds a story, a named person and
whole sentences, in which texts are quoted and lists are spelled out.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rods.grounding import says
from rods.provenance import Link, fields, find_links
from rods.synthesis.catalogue import Phrase, spaced
from rods.synthesis.draft import Executed
from rods.synthesis.failures import Kind, SynthesisError
from rods.synthesis.speech import (
    COMPACT,
    SPOKEN,
    Pointing,
    pick,
    short,
    singular,
    spoken,
    unlabelled,
)
from rods.synthesis.story import Voice
from rods.task import Call

QUOTED = ("text", "word")  # kinds whose values are any words, which could run into the sentence
SLOT = re.compile(r"\{(\w+)\}")
Visible = Callable[[str], str]


@dataclass(frozen=True)
class ProgramGrounder:
    """Words by program.

    Args:
        phrases: the entry of each tool.
        voice: how requests are put together.
        visible: what of a response the agent gets to see.
    """

    phrases: Mapping[str, Phrase]
    voice: Voice
    visible: Visible = str

    def ground(self, executed: Executed, rng: random.Random) -> Wording:
        """Words for all turns; they are drawn when they are asked for."""
        return Wording(executed, self, rng)


class Wording:
    """What is to be said for each argument of each call of a task."""

    def __init__(self, executed: Executed, grounder: ProgramGrounder, rng: random.Random) -> None:
        self.rng, self._phrases, self._voice = rng, grounder.phrases, grounder.voice
        self._pointing = SPOKEN if grounder.voice.whole else COMPACT
        self.calls = calls = executed.calls
        self._first = [sum(len(t) for t in calls[:i]) for i in range(len(calls))]
        self._references = self._to_responses(executed, grounder.visible)
        if executed.plan.refers is not None and grounder.voice.refers:
            self._references |= self._to_words(executed.plan.refers)
        self._story = grounder.voice.story(executed, rng)

    def turn(self, index: int, missing: tuple[int, str] | None = None) -> str:
        if not self.calls[index]:
            return self._voice.close(self.rng)
        parts = []
        for i, call in enumerate(self.calls[index]):
            unsaid = missing[1] if missing and missing[0] == i else ""
            parts.append(self._phrase(call, self._first[index] + i, unsaid))
        return self._voice.request(parts, index, self._story, self.rng)

    def stated(self, index: int) -> list[tuple[int, str]]:
        return [
            (i, name)
            for i, call in enumerate(self.calls[index])
            for name in call.arguments
            if (self._first[index] + i, name) not in self._references
            and any(f"{{{name}}}" in wording for wording in self._phrases[call.name].say)
        ]

    def told(self, call: Call, parameter: str) -> str:
        noun = self._phrases[call.name].noun(parameter)
        return self._voice.answer(noun, self._value(call, parameter), self.rng)

    def _phrase(self, call: Call, position: int, unsaid: str) -> str:
        entry = self._phrases.get(call.name)
        if entry is None:
            raise SynthesisError(Kind.NO_PROMPTS, f"no phrase for {call.name}", call)

        def fill(text: str) -> str:
            for name in SLOT.findall(text):
                if name != unsaid and name not in call.arguments:
                    raise SynthesisError(Kind.QUERY, f"{call.name}: no value for {name}", call)
                if self._voice.whole:
                    text = self._adapted(text, call, name, (position, name), unsaid)
            return SLOT.sub(lambda match: word(match[1]), text)

        def word(name: str) -> str:
            if name == unsaid:
                return pick(self._pointing.some, self.rng).format(self._noun(call, name))
            return self._references.get((position, name)) or self._value(call, name)

        whole = self._voice.whole
        text = fill(self.rng.choice(entry.tell or entry.say if whole else entry.say))
        for name, suffix in entry.also.items():
            if name in call.arguments:
                text += " " + fill(entry.tell_also.get(name, suffix) if whole else suffix)
        return text

    def _adapted(
        self, text: str, call: Call, name: str, place: tuple[int, str], unsaid: str
    ) -> str:
        """A wording that fits what is put into one of its slots."""
        if name == unsaid or place in self._references:
            return unlabelled(text, name, self._phrases[call.name].noun(name))
        return singular(text, name) if say(call.arguments[name]) == "1" else text

    def _noun(self, call: Call, name: str) -> str:
        noun = self._phrases[call.name].noun(name)
        return short(noun) if self._voice.whole else noun

    def _value(self, call: Call, name: str) -> str:
        value = call.arguments[name]
        if not self._voice.whole:
            return say(value)
        return spoken(value, self._phrases[call.name].slots.get(name) in QUOTED)

    def _to_responses(self, executed: Executed, visible: Visible) -> dict[tuple[int, str], str]:
        flat = [text for turn in executed.responses for text in turn]
        found, calls = {}, [c for turn in self.calls for c in turn]
        for link in find_links(calls, executed.responses):
            options = _refer(flat[: link.consumer], link, visible, self._pointing)
            if options:
                name = spaced(link.key)
                if self._voice.whole:
                    name = short(self._phrases[calls[link.producer].name].noun(link.key))
                said = pick(options, self.rng).format(name)
                found[link.consumer, link.parameter] = said
        return found

    def _to_words(self, turns: frozenset[int]) -> dict[tuple[int, str], str]:
        """References to what the user named last under the same noun, in an earlier turn."""
        found: dict[tuple[int, str], str] = {}
        last: dict[str, Any] = {}
        for index, calls in enumerate(self.calls):
            named: dict[str, Any] = {}
            for i, call in enumerate(calls):
                for name, value in call.arguments.items():
                    noun = self._noun(call, name)
                    place = (self._first[index] + i, name)
                    if isinstance(value, bool | list | dict) or place in self._references:
                        continue
                    if index in turns and noun not in named and last.get(noun) == value:
                        found[place] = pick(self._pointing.same, self.rng).format(noun)
                    # Two of the same name in a turn: later it would be unclear which is meant.
                    named[noun] = value if named.get(noun, value) == value else None
            last |= named
        return found


def say(value: Any) -> str:
    """A value as text."""
    if isinstance(value, list):
        return " , ".join(say(item) for item in value)
    if isinstance(value, dict):
        return " , ".join(f"{spaced(str(key))} {say(item)}" for key, item in value.items())
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _refer(
    responses: Sequence[str], link: Link, visible: Visible, pointing: Pointing
) -> Sequence[str]:
    """How one can point at a field of an earlier response; nothing where that would be unclear."""
    producer, key = link.producer, link.key
    seen = visible(responses[producer])
    value = dict(fields(responses[producer])).get(key)
    if value is None or not says(seen, str(value[1])):
        return ()
    if key not in seen and key.replace("_", " ") not in seen:
        return ()
    holders = [i for i, text in enumerate(responses) if any(k == key for k, _ in fields(text))]
    if holders[-1] == producer:
        return pointing.next if producer == len(responses) - 1 else pointing.last
    if len(holders) > 1 and holders[-2] == producer:
        return pointing.previous
    return ()
