"""How values are written in sentences, and how the words refer to values that they do not state.

A value is referred to if it is in an earlier response or in earlier words of the user and the
reference is unambiguous.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple

from rods.flows import Link, find_links, spots, values_at
from rods.grounding import says
from rods.synthesis.catalogue import Phrase, spaced
from rods.synthesis.stages import Executed

Visible = Callable[[str], str]
Place = tuple[int, str]  # position of a call in the whole task, and its parameter
THING = re.compile(
    r"(?:.*? )??(file|folder|directory|order|ticket|tweet|booking|card|stock|account|company|city"
    r"|user|contact|receiver|numbers)(?: name| id| symbol| to \w+)?"
)
LABELS = (
    "a|an|my|the|id|number|called|named|empty|new|existing|stock|trading|travel|credit|users?"
    "|account|text|words|line|comment|pattern|list|whole|verification"
)
COUNTED = "share|gallon|liter|mile|meter|line|digit|decimal|degree"


class Pointing(NamedTuple):
    """Words for a value that is not stated; each has a place for the value's noun.

    Attributes:
        next: for a value from the response just before.
        last: for the last value of that name.
        previous: for the value before the last one.
        same: for a value that the user stated in an earlier turn.
        some: for a value that is left out.
    """

    next: Sequence[str]
    last: Sequence[str]
    previous: Sequence[str]
    same: Sequence[str]
    some: Sequence[str]


COMPACT = Pointing(
    ("the last {}",), ("the last {}",), ("the previous {}",), ("the same {}",), ("some {}",)
)
SPOKEN = Pointing(
    next=("that {}", "the resulting {}", "the latest {}", "the {} from the step before"),
    last=("the last {}", "the latest {}", "the {} that came up last", "the most recent {}"),
    previous=("the previous {}", "the {} before the last", "the {} that came up before the last"),
    same=("the same {}", "the {} from before", "the {} that I named before"),
    some=("some {}", "some particular {}"),
)


def pick(options: Sequence[str], rng: random.Random) -> str:
    """One of the options; no random number is drawn if there is only one."""
    return options[0] if len(options) == 1 else rng.choice(options)


def spoken(value: Any, quoted: bool = False) -> str:
    """A value as a person writes it.

    Args:
        quoted: whether texts are in quotation marks, which show where they end.
    """
    if isinstance(value, dict):
        return _listed([f"{spaced(str(k))} {spoken(v, _long(v))}" for k, v in value.items()])
    if isinstance(value, list):
        return _listed([spoken(item, quoted) for item in value])
    if isinstance(value, bool):
        return "true" if value else "false"
    quoted = (quoted or value == "") and '"' not in str(value)
    return f'"{value}"' if quoted else str(value)


def of_closed_set(value: Any, choices: Sequence[Any], noun: str) -> str:
    """A word of a closed set, or a list of them: "the rear left door", "all the doors"."""
    thing = noun.removesuffix(" list")
    if not isinstance(value, list):
        return str(value).replace("_", " ") if isinstance(value, str) else spoken(value)
    if len(value) > 1 and {*map(str, value)} == {*map(str, choices)}:
        return f"all the {thing}s"
    words = [str(item).replace("_", " ") for item in value]
    return f"the {_listed(words)} {thing}" + "s" * (len(words) > 1)


def short(noun: str) -> str:
    """The thing that a value names, in a word: "searched file name" -> "file"."""
    noun = noun.removeprefix("my ").removeprefix("nearest ")
    thing = THING.fullmatch(noun)
    return thing[1] if thing else noun


def unlabelled(text: str, slot: str, noun: str) -> str:
    """A wording without the words that name a slot.

    A reference in the slot has its own noun: "cancel the order {order_id}" must not become "cancel
    the order that order id". The wording's first word is its verb and is kept.
    """
    own = "|".join(re.escape(word) for word in noun.split(" to ")[0].split() if word != "of")
    own, place = f"(?:{own})s?", re.escape(f"{{{slot}}}")
    text = re.sub(rf"(?<= )an? (?:{own} )+of (?={place})", "", text)
    text = re.sub(rf"(?<= )(?:(?:{LABELS}|{own}) )+(?={place})", "", text)
    tail = rf"(?: (?:as|for) the)?(?: {own}| (?:{COUNTED})s?)+\b"
    return re.sub(f"({place}){tail}", r"\1", text)


def singular(text: str, slot: str) -> str:
    """A wording for a slot whose value is 1: "{amount} shares" -> "{amount} share"."""
    return re.sub(rf"({re.escape(f'{{{slot}}}')} (?:{COUNTED}))s\b", r"\1", text)


def _listed(items: list[str]) -> str:
    """`a, b and c`; "none" for an empty list."""
    return " and ".join(part for part in (", ".join(items[:-1]), *items[-1:]) if part) or "none"


def _long(value: Any) -> bool:
    return isinstance(value, str) and " " in value


class References:
    """The words that refer to values in earlier responses or in the user's earlier words.

    Args:
        phrases: the entry of each tool.
        whole: whether the words are whole sentences.
    """

    def __init__(
        self, executed: Executed, phrases: Mapping[str, Phrase], whole: bool, rng: random.Random
    ) -> None:
        self._executed, self._phrases, self._whole, self._rng = executed, phrases, whole, rng
        self.pointing = SPOKEN if whole else COMPACT
        self._words: dict[Place, str] = {}

    def get(self, place: Place) -> str:
        """The words, or "" for a value that must be stated."""
        return self._words.get(place, "")

    def noun(self, tool: str, parameter: str) -> str:
        """The noun of a value: "file" in sentences, "file name" in compact words."""
        noun = self._phrases[tool].noun(parameter)
        return short(noun) if self._whole else noun

    def add_responses(self, visible: Visible) -> None:
        """Refer to values in responses.

        Args:
            visible: returns the part of a response that the agent sees.
        """
        flat = [text for turn in self._executed.responses for text in turn]
        calls = [call for turn in self._executed.calls for call in turn]
        for link in find_links(calls, self._executed.responses):
            name = link.parameter.removesuffix("[]")
            value = calls[link.consumer].arguments.get(name)
            options = _pointers(flat[: link.consumer], link, visible, self.pointing)
            alone = isinstance(value, list) and len(value) == 1
            if options and (name == link.parameter or alone):
                # A response that is the value itself has no name for it.
                tool, key = calls[link.producer].name, link.key
                tool, key = (tool, key) if key else (calls[link.consumer].name, name)
                noun = self.noun(tool, key) if self._whole else spaced(key)
                said = pick(options, self._rng).format(noun)
                self._words[link.consumer, name] = said

    def add_words(self, turns: frozenset[int]) -> None:
        """Refer, in these turns, to the last value that the user stated with the same noun."""
        positions, last, found = count(), dict[str, Any](), dict[Place, str]()
        for index, calls in enumerate(self._executed.calls):
            named: dict[str, Any] = {}
            for call, position in zip(calls, positions, strict=False):
                for name, value in call.arguments.items():
                    if value is None or isinstance(value, bool | list | dict):
                        continue
                    noun, place = self.noun(call.name, name), (position, name)
                    fresh = noun not in named and place not in self._words
                    if index in turns and fresh and last.get(noun) == value:
                        found[place] = pick(self.pointing.same, self._rng).format(noun)
                    # Two values with the same noun in a turn make later references ambiguous.
                    named[noun] = value if named.get(noun, value) == value else None
            last |= named
        self._words |= found


def _pointers(
    responses: Sequence[str], link: Link, visible: Visible, pointing: Pointing
) -> Sequence[str]:
    """Words that refer to a field of an earlier response; none if they would be ambiguous."""
    producer, key = link.producer, link.key
    seen, values = visible(responses[producer]), values_at(responses[producer], key)
    if len(values) != 1 or not says(seen, str(values[0])):
        return ()
    alone = not key and seen.strip() == str(values[0]) and " " not in seen.strip()
    named = key.isidentifier() and (key in seen or key.replace("_", " ") in seen)
    if not (alone or named):
        return ()  # it has no name that the agent sees
    holders = [i for i, text in enumerate(responses) if any(k == key for k, _ in spots(text))]
    if holders[-1] == producer:
        return pointing.next if producer == len(responses) - 1 else pointing.last
    if len(holders) > 1 and holders[-2] == producer:
        return pointing.previous
    return ()
