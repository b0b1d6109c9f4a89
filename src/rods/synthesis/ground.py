"""Stage III, ground: executed calls become what a user says, one phrase a call.

Departure from the paper: wording by templates. A value that a response produced is referred to
("the last order id") where the reference is unambiguous, else it is stated.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import Any

from rods.profile import fields, find_links
from rods.synthesis.catalogue import phrases
from rods.synthesis.execute import SynthesisError
from rods.task import Call

CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
SLOT = re.compile(r"\{(\w+)\}")
OPENERS = ("", "", "", "please ", "now ", "next ")
CLOSERS = ("thank you that is all", "good work so far", "that looks fine to me")
Visible = Callable[[str], str]


class Wording:
    """What is to be said for each argument of each call of a task.

    Args:
        calls: the calls by turn; `responses` likewise.
        visible: what of a response the agent gets to see.
    """

    def __init__(
        self,
        calls: Sequence[Sequence[Call]],
        responses: Sequence[Sequence[str]],
        visible: Visible,
        rng: random.Random,
    ) -> None:
        self.rng = rng
        self.calls = calls
        flat = [text for turn in responses for text in turn]
        self._references = {}
        for link in find_links([c for turn in calls for c in turn], responses):
            said = _refer(flat[: link.consumer], link.producer, link.key, visible)
            if said:
                self._references[link.consumer, link.parameter] = said
        self._first = [sum(len(t) for t in calls[:i]) for i in range(len(calls))]

    def turn(self, index: int, missing: tuple[int, str] | None = None) -> str:
        """The user's words for a turn.

        Args:
            missing: (call within the turn, parameter) whose value is not said.
        """
        if not self.calls[index]:
            return self.rng.choice(CLOSERS)
        parts = []
        for i, call in enumerate(self.calls[index]):
            unsaid = missing[1] if missing and missing[0] == i else ""
            parts.append(self._phrase(call, self._first[index] + i, unsaid))
        return self.rng.choice(OPENERS) + " then ".join(parts)

    def stated(self, index: int) -> list[tuple[int, str]]:
        """(call within the turn, required parameter) whose value the turn's words state."""
        return [
            (i, name)
            for i, call in enumerate(self.calls[index])
            for name in call.arguments
            if (self._first[index] + i, name) not in self._references
            and any(f"{{{name}}}" in wording for wording in phrases()[call.name].say)
        ]

    def _phrase(self, call: Call, position: int, unsaid: str) -> str:
        entry = phrases().get(call.name)
        if entry is None:
            raise SynthesisError("no_prompts")

        def fill(match: re.Match[str]) -> str:
            name = match[1]
            if name == unsaid:
                return f"some {noun(call.name, name)}"
            if name not in call.arguments:
                raise SynthesisError("query_gen_failed")
            return self._references.get((position, name)) or say(call.arguments[name])

        text = SLOT.sub(fill, self.rng.choice(entry.say))
        for name, suffix in entry.also.items():
            if name in call.arguments:
                text += " " + SLOT.sub(fill, suffix)
        return text


def noun(tool: str, parameter: str) -> str:
    """What a user calls a parameter."""
    return phrases()[tool].nouns.get(parameter, spaced(parameter))


def spaced(key: str) -> str:
    """`orderId`, `order_id` -> "order id"."""
    return CAMEL.sub(" ", key).replace("_", " ").lower()


def say(value: Any) -> str:
    """A value as text."""
    if isinstance(value, list):
        return " , ".join(say(item) for item in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def says(text: str, value: str) -> bool:
    """Whether a value stands in a text as a whole, not within another word or number."""
    pattern = rf"(?<!\w)(?<!\w\.){re.escape(value)}(?!\w|\.\w)"
    return re.search(pattern, text) is not None


def _refer(responses: Sequence[str], producer: int, key: str, visible: Visible) -> str:
    """How to point at a field of an earlier response, or "" where that would be unclear."""
    seen = visible(responses[producer])
    value = dict(fields(responses[producer])).get(key)
    if value is None or str(value[1]) not in seen:
        return ""
    if key not in seen and key.replace("_", " ") not in seen:
        return ""
    holders = [i for i, text in enumerate(responses) if any(k == key for k, _ in fields(text))]
    if holders[-1] == producer:
        return f"the last {spaced(key)}"
    if len(holders) > 1 and holders[-2] == producer:
        return f"the previous {spaced(key)}"
    return ""
