"""Whether a text states a value, as people write it.

Ids, names, amounts and free texts count only as they are. Dates, times of a weekday, numbers, truth
values and the words of a closed set also count as a person says them: "October 7, 2027" for
2027-10-07, "Tuesday at 11:00" for Tue 11:00, "forty-nine" for 49, "20 %" for 0.2, "lock the doors"
or "secure the doors" for unlock=False, "rear left" for rear_left, "purchase" for Buy, "all the
doors" for a list of them. So do a tag or a user name without the sign that the document of the
parameter requires, and "an empty string".
"""

from __future__ import annotations

import calendar
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from num2words import num2words  # type: ignore[import-untyped]

from rods.envs.lexicon import stem, stems

Schema = Mapping[str, Any]  # of a parameter, or of a list's items
ALL = re.compile(r"\b(?:all|every|each|both|everything)\b", re.IGNORECASE)
PARENT = re.compile(
    r"\bparent (?:folder|directory)|\bone (?:level|folder|directory) (?:up|back|higher)"
    r"|\b(?:up|back) (?:one|a) (?:level|folder|directory)|\bfolder above\b",
    re.IGNORECASE,
)
DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
WEEKDAY = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]* (\d{1,2}:\d{2})")
WORD = re.compile(r"[A-Za-z]+")
PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
QUOTES = "\"'`\u201c\u201d\u2018\u2019\u00ab\u00bb"
LISTED = re.compile(
    r"(?:\[Enum\]|\boptions(?: are)?|\bone of)\s*:?\s*(.*)", re.DOTALL | re.IGNORECASE
)
SLASHED = re.compile(r"\((\w+(?:/\w+)+)\)")
SIGNED = re.compile(r"\b(?:start|begin)s? with (?:an? )?[\"'`]?([#@])")
EMPTY = re.compile(r"\bempty (?:string|text)\b", re.IGNORECASE)
# Stems of other words that people use, each with the stem of the word that it means. They do not
# count in a text with a word of the opposite: "sell what I purchased", "secure and unlock it".
MEANT = {
    stem(word): stem(meant)
    for word, meant in (("purchase", "buy"), ("acquire", "buy"), ("secure", "lock"))
}
REVERSING = re.compile(r"^(?:un|dis|de|non)")
WRITTEN_OUT = 1_000_000  # whole numbers up to this size are also looked for in words
FREE = 3  # words from which on a text counts as one to be written as it is
OPENS = re.compile(
    rf"(?:[{QUOTES}:]|\b(?:say|says|saying|reads?|reading|states?|stating|titled|title|called|named"
    r"|that|text|texts|words?|message|content|contents|comment|note|line|phrase|caption|hashtags?"
    r"|description|subject|as|with|of|is|be|to))\s*$",
    re.IGNORECASE,
)


def stated(value: Any, text: str, name: str = "", schema: Schema | None = None) -> bool:
    """Whether a text contains a scalar, as people or tools write it.

    Args:
        name: the parameter; for a truth value it is enough that the text mentions the parameter.
        schema: of the parameter; without one only the forms of numbers and truth values count.
    """
    if isinstance(value, bool):
        return says(text, str(value).lower()) or bool(name and _flagged(value, name, text))
    if isinstance(value, str):
        return _written(value, text) or (schema is not None and _said(value, text, schema))
    lower = text.lower()
    return any(says(lower, written) for written in spellings(value))


def occurs(value: Any, text: str, schema: Schema | None = None) -> bool:
    """Whether a text has a scalar anywhere, so that a reader of it knows the value."""
    written = any(says(text, spelling) for spelling in spellings(value))
    return written or stated(value, text, schema=schema)


def all_stated(values: Sequence[Any], text: str, schema: Schema) -> bool:
    """Whether a text asks for all values of a closed set, and these are all of them."""
    closed = choices(schema)
    return len(closed) > 1 and {*map(str, values)} == {*map(str, closed)} and bool(ALL.search(text))


def spellings(value: Any) -> Iterator[str]:
    """How a scalar may be written."""
    if value is None or isinstance(value, bool):
        yield json.dumps(value)
    elif isinstance(value, str):
        yield value
    else:
        yield json.dumps(value)
        if not math.isfinite(value):
            return
        if value == int(value):
            yield str(int(value))
            yield f"{int(value):,}"
            yield f"{int(value)}.00"  # an amount of money
            yield f"{int(value):,}.00"
            yield from _in_words(int(value))
        else:
            yield f"{value:,}"
            yield f"{value:,.2f}" if round(value, 2) == value else f"{value}"
            if 0 < value < 1:  # a share
                yield from (f"{round(100 * value, 6):g}{sign}" for sign in ("%", " %", " percent"))


def says(text: str, value: str) -> bool:
    """Whether a text contains a value as a whole, not as part of another word or number."""
    at = text.find(value) if value else -1
    while at >= 0:
        end = at + len(value)
        if not _joined(text[max(0, at - 2) : at][::-1], value[0]) and not _joined(
            text[end : end + 2], value[-1]
        ):
            return True
        at = text.find(value, at + 1)
    return False


def choices(schema: Schema) -> list[Any]:
    """The values of a closed set, from a schema or from the list in its description."""
    if isinstance(items := schema.get("items"), Mapping) and (found := choices(items)):
        return found
    if "const" in schema:
        return [schema["const"]]
    if schema.get("enum"):
        return list(schema["enum"])
    described = str(schema.get("description", ""))
    if slashed := SLASHED.search(described):
        return slashed[1].split("/")
    listed = LISTED.search(described)
    items = [item.strip(" .\"'`[]\n") for item in listed[1].split(",")] if listed else []
    return [item for item in items if item and len(item.split()) <= FREE]


def _written(value: str, text: str) -> bool:
    """Whether a text has a string as it is. A longer one must be set off: "the summary of the
    project." at the end of a sentence is no text to be sent."""
    if not says(text, value):
        return False
    if len(value.split()) < FREE:
        return True
    pieces = text.split(value)
    return any(
        OPENS.search(before[-40:]) or before.strip(" ")[-1:] in ("", "\n") for before in pieces[:-1]
    ) or any(after[:1] in QUOTES and after for after in pieces[1:])


def _said(value: str, text: str, schema: Schema) -> bool:
    """Whether a text has another form of a string."""
    if not value:
        return bool(EMPTY.search(text))
    signed = SIGNED.search(str(schema.get("description", "")))
    if signed and value.startswith(signed[1]):
        return says(text, value[1:])
    if date := DATE.fullmatch(value):
        year, month, day = map(int, date.groups())
        return _dated(year, month, day, text)
    if slot := WEEKDAY.fullmatch(value):
        name, time = rf"{slot[1]}[a-z]*\.?", re.escape(slot[2])
        form = rf"\b(?:{name},?\s+(?:at\s+)?{time}|{time}\s+(?:on\s+)?{name})(?![\w:])"
        return bool(re.search(form, text, re.IGNORECASE))
    if value == "..":
        return bool(PARENT.search(text))
    if value in (closed := choices(schema)):
        wanted, words = _words(value), _words(text)
        others = {word for item in closed if item != value for word in _words(str(item))}
        if others.isdisjoint(words):
            words = [word if word in wanted else MEANT.get(word, word) for word in words]
        return bool(wanted) and any(words[i : i + len(wanted)] == wanted for i in range(len(words)))
    plain = WORD.fullmatch(value) and not value.isupper() and len(value) > 2
    return bool(plain) and says(text.lower(), value.lower())


def _flagged(value: bool, name: str, text: str) -> bool:
    """Whether a text speaks of a flag, and of the right side of it where it says one.

    For `unlock`, "unlock" says true and "lock" says false; for `activate`, "deactivate" says false.
    Else a mention is enough: "not" and "without" have too many forms.
    """
    verb = next(iter(PARTS.findall(name)), "").lower()
    root = REVERSING.sub("", verb) if len(verb) > 4 else verb
    spoken = [part.lower() for part in PARTS.findall(text)]
    stemmed = [stem(word) for word in spoken]
    reversed_ = any(REVERSING.match(w) and stem(REVERSING.sub("", w)) == stem(root) for w in spoken)
    plain = stem(root) in stemmed or (not reversed_ and stem(root) in map(MEANT.get, stemmed))
    if root != verb and (reversed_ or plain):
        return reversed_ if value else plain
    if root == verb and reversed_:
        return plain or not value
    return plain or bool(stems(name) & stems(text))


def _dated(year: int, month: int, day: int, text: str) -> bool:
    """Whether a text names a day, in letters or in figures."""
    if not (1 <= month <= 12 and says(text, str(year))):
        return False
    names = f"(?:{calendar.month_name[month]}|{calendar.month_abbr[month]}\\.?)"
    number = rf"0?{day}(?:st|nd|rd|th)?"
    figures = rf"0?{month}\s*[/.-]\s*0?{day}|0?{day}\s*[/.-]\s*0?{month}"
    form = rf"\b(?:{names},?\s+(?:the\s+)?{number}|{number}\s+(?:of\s+)?{names}|{figures})(?!\d)"
    return bool(re.search(form, text, re.IGNORECASE))


def _words(text: str) -> list[str]:
    """Stems of the words of a text, names in code taken apart."""
    return [stem(part.lower()) for part in PARTS.findall(text)]


@lru_cache(maxsize=4096)
def _in_words(value: int) -> tuple[str, ...]:
    if not 0 <= value < WRITTEN_OUT:
        return ()
    written = num2words(value)
    return tuple({written, written.replace("-", " "), written.replace(" and ", " ")})


def _joined(beyond: str, edge: str) -> bool:
    """Whether the characters next to a value make it part of a longer word or number."""
    if not (edge.isalnum() or edge == "_"):
        return False
    first, second = beyond[:1], beyond[1:2]
    return _wordy(first) or (first == "." and _wordy(second))


def _wordy(character: str) -> bool:
    return character.isalnum() or character == "_"
