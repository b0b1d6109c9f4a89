"""How whole sentences put values, and point at those that are not said."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from rods.synthesis.catalogue import spaced

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
    """Words for a value that is not said; each has a place for what the value is called.

    Attributes:
        next: for what the call just before produced.
        last: for the last value of that name that came up.
        previous: for the value before the last.
        same: for what the user named in an earlier turn.
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
    """An option; nothing is drawn where there is no choice."""
    return options[0] if len(options) == 1 else rng.choice(options)


def spoken(value: Any, quoted: bool = False) -> str:
    """A value as a person writes it.

    Args:
        quoted: whether texts stand in quotation marks, so that it is plain where they end.
    """
    if isinstance(value, dict):
        return _listed([f"{spaced(str(k))} {spoken(v, _long(v))}" for k, v in value.items()])
    if isinstance(value, list):
        return _listed([spoken(item, quoted) for item in value])
    if isinstance(value, bool):
        return "true" if value else "false"
    quoted = (quoted or value == "") and '"' not in str(value)
    return f'"{value}"' if quoted else str(value)


def short(noun: str) -> str:
    """What a person calls a value's bearer: "searched file name" -> "file"."""
    noun = noun.removeprefix("my ").removeprefix("nearest ")
    thing = THING.fullmatch(noun)
    return thing[1] if thing else noun


def unlabelled(text: str, slot: str, noun: str) -> str:
    """A wording without the words that name a slot.

    What is put into the slot names itself: "cancel the order {order_id}" must not become "cancel
    the order that order id". The wording's first word is its verb and stays.
    """
    own = "|".join(re.escape(word) for word in noun.split(" to ")[0].split() if word != "of")
    own, place = f"(?:{own})s?", re.escape(f"{{{slot}}}")
    text = re.sub(rf"(?<= )an? (?:{own} )+of (?={place})", "", text)
    text = re.sub(rf"(?<= )(?:(?:{LABELS}|{own}) )+(?={place})", "", text)
    tail = rf"(?: (?:as|for) the)?(?: {own}| (?:{COUNTED})s?)+\b"
    return re.sub(f"({place}){tail}", r"\1", text)


def singular(text: str, slot: str) -> str:
    """A wording for a slot that holds just 1: "{amount} shares" -> "{amount} share"."""
    return re.sub(rf"({re.escape(f'{{{slot}}}')} (?:{COUNTED}))s\b", r"\1", text)


def _listed(items: list[str]) -> str:
    """`a, b and c`; nothing at all is "none"."""
    return " and ".join(part for part in (", ".join(items[:-1]), *items[-1:]) if part) or "none"


def _long(value: Any) -> bool:
    return isinstance(value, str) and " " in value
