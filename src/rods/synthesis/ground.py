"""Stage III, ground: executed calls become the user's words.

Departure from the paper: the words come from templates, without a model.

A value from a response is referred to ("the last
order id") if the reference is unambiguous; otherwise it is stated. The same holds for a value that
the user stated in an earlier turn ("the same file name"), in turns that should refer back. The
plain voice has one phrase for each call. The sentence voice has whole sentences and quoted texts,
and a named person with a story.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rods.grounding import FREE
from rods.synthesis.catalogue import Phrase, spaced
from rods.synthesis.failures import Kind, SynthesisError
from rods.synthesis.speech import (
    References,
    Visible,
    of_closed_set,
    pick,
    singular,
    spoken,
    unlabelled,
)
from rods.synthesis.stages import Executed
from rods.synthesis.story import Voice
from rods.task import Call

QUOTED = ("text", "word")  # kinds whose values are free words, which need quotation marks
SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class ProgramGrounder:
    """Words by program.

    Args:
        phrases: the entry of each tool.
        voice: how requests are put together.
        visible: returns the part of a response that the agent sees.
    """

    phrases: Mapping[str, Phrase]
    voice: Voice
    visible: Visible = str

    def ground(self, executed: Executed, rng: random.Random) -> Wording:
        """Words for all turns; they are drawn when they are used."""
        return Wording(executed, self, rng)


class Wording:
    """The user's words for a task, by program; see `stages.Words`."""

    def __init__(self, executed: Executed, grounder: ProgramGrounder, rng: random.Random) -> None:
        self.rng, self._phrases, self._voice = rng, grounder.phrases, grounder.voice
        self.calls = calls = executed.calls
        self._first = [sum(len(t) for t in calls[:i]) for i in range(len(calls))]
        self._references = References(executed, self._phrases, self._voice.whole, rng)
        self._references.add_responses(grounder.visible)
        if executed.plan.refers is not None and grounder.voice.refers:
            self._references.add_words(executed.plan.refers)
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
            if not self._references.get((self._first[index] + i, name))
            and any(f"{{{name}}}" in wording for wording in self._phrases[call.name].say)
        ]

    def answer(self, call: Call, parameter: str) -> str:
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
                if whole and (name == unsaid or self._references.get((position, name))):
                    text = unlabelled(text, name, entry.noun(name))
                elif whole and as_text(call.arguments[name]) == "1":
                    text = singular(text, name)
            return SLOT.sub(lambda match: word(match[1]), text)

        def word(name: str) -> str:
            if name == unsaid:
                some = pick(self._references.pointing.some, self.rng)
                return some.format(self._references.noun(call.name, name))
            return self._references.get((position, name)) or self._value(call, name)

        def instead(name: str) -> Sequence[str]:
            if not whole or name == unsaid or self._references.get((position, name)):
                return ()
            value = json.dumps(call.arguments.get(name)).strip('"')
            return entry.instead.get(name, {}).get(value, ())

        whole = self._voice.whole
        forms: Sequence[str] = entry.tell or entry.say if whole else entry.say
        for name in entry.instead:
            if name not in entry.also:
                forms = instead(name) or forms
        text = fill(self.rng.choice(forms))
        for name, suffix in entry.also.items():
            if name in call.arguments:
                own = entry.tell_also.get(name, suffix) if whole else suffix
                text += " " + fill(pick(instead(name) or (own,), self.rng))
        return text

    def _value(self, call: Call, name: str) -> str:
        value = call.arguments[name]
        if not self._voice.whole:
            return as_text(value)
        entry = self._phrases[call.name]
        if entry.slots.get(name) == "choice":
            return of_closed_set(value, entry.choices.get(name, ()), entry.noun(name))
        long = isinstance(value, str) and len(value.split()) >= FREE  # see `grounding.stated`
        return spoken(value, long or entry.slots.get(name) in QUOTED)


def as_text(value: Any) -> str:
    """A value as text."""
    if isinstance(value, list):
        return " , ".join(as_text(item) for item in value)
    if isinstance(value, dict):
        return " , ".join(f"{spaced(str(key))} {as_text(item)}" for key, item in value.items())
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
