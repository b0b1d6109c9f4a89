"""What words say about which of several values is meant.

The words speak for a value and not for its rival by a word of its record or of the call that showed
it, by its position in a list, by a superlative, because it was mentioned last, or because the rival
was only shown inside a list.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rods.synthesis.meaning.mentions import Mention

RECENT = re.compile(
    r"\b(that|this|these|those|its?|last|latest|recent|recently|just|resulting|same|such|current"
    r"|currently|now|newly|new|above|step before|them|they|he|she|him|her|his|their|one|said)\b",
    re.IGNORECASE,
)
EARLIER = re.compile(r"\b(previous|prior|before the last|earlier)\b", re.IGNORECASE)
SUPERLATIVE = re.compile(
    r"\b((cheap|low|high|large|small|big|bigg|hott|cold|warm|thinn|young|deep|rich|new|old|long|short|earli|prici|near|close?|fast|slow|heavi"
    r"|strong|weak|light)e?st|best|worst|most (?!recent)|least)\b",
    re.IGNORECASE,
)
EACH = re.compile(r"\b(all|every|each|both|them)\b", re.IGNORECASE)
PLACES = {
    0: re.compile(r"\b(first|initial|initially|top)\b", re.IGNORECASE),
    1: re.compile(r"\bsecond\b", re.IGNORECASE),
    2: re.compile(r"\bthird\b", re.IGNORECASE),
    -1: re.compile(r"\b(last|latest|final|bottom|most recent)\b", re.IGNORECASE),
}


def refers_to_each(words: str) -> bool:
    """Whether the words mean all of several things."""
    return bool(EACH.search(words))


def ruled_out(
    own: Sequence[Mention],
    theirs: Sequence[Mention],
    words: str,
    spoken: frozenset[str],
    first: int,
) -> bool:
    """Whether the words speak for one value and not for the other.

    Args:
        first: position of the turn's first call.
    """
    about = frozenset[str]().union(*(m.about for m in theirs))
    if any((mention.about - about) & spoken for mention in own):
        return True
    latest, rival = max(m.at for m in own), max(m.at for m in theirs)
    if latest > rival and (latest >= first or RECENT.search(words)):
        return True
    if min(m.depth for m in own) == 0 < min(m.depth for m in theirs):
        return True  # it was the subject of a call or response; the other was only in a list
    if latest < rival and EARLIER.search(words):
        return True
    if min(m.at for m in own) < min(m.at for m in theirs) and PLACES[0].search(words):
        return True
    return any(_placed(mention, words) for mention in own)


def _placed(mention: Mention, words: str) -> bool:
    """Whether the words name the position of a value in its list."""
    if mention.listed is None:
        return False
    at, length = mention.listed
    named = (place for place, pattern in PLACES.items() if pattern.search(words))
    return any(at == (place if place >= 0 else length + place) for place in named)


def extreme(words: str, own: Sequence[Mention], others: dict[str, list[Mention]]) -> bool:
    """Whether the words have a superlative, and a number of the value's record is an extreme one.

    Args:
        others: the mentions of each rival.
    """
    if not SUPERLATIVE.search(words):
        return False
    for mention in own:
        for name, number in mention.numbers.items():
            rest = [m.numbers[name] for ms in others.values() for m in ms if name in m.numbers]
            if rest and (number < min(rest) or number > max(rest)):
                return True
    return False
