"""Flows of values: which earlier response an argument's value comes from.

A value is looked for in the fields of a JSON response, in its lists and in the keys of its
mappings, and else as a whole token in its texts. An argument's value may be an item of a list or
part of a mapping. What may be equal by chance does not count: truth values, small numbers, single
letters, and in texts everything that a sentence may contain anyway.

A place is written as a path of names: `order.id` is a field in an argument, `ids[]` the items of a
list. In a response the name of the field is enough, wherever it is: `id` (a field), `ids[]` (items
of a list), `orders{}` (keys of a mapping), `message~A9` (a token of that shape in a text; "A9" is a
capital word and a number, as in "W1001"). The response itself has no name: `""`, `[]`, `{}`, `~A9`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from rods.grounding import says, spellings
from rods.task import Call

SMALL = 10  # whole numbers up to this size, and truth values, are too often equal by chance
IN_TEXT = 100  # and in a text those below this one
NODES = 5_000  # of a response, at most
TOKEN = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\w-])|[^\s\"'`,;:!?()\[\]{}<>|]+")
SIGN = re.compile(r"[\d@_/#]|[A-Z]{2}|[a-z][A-Z]|\w[.-]\w")
SHAPES = (
    (re.compile(r"[A-Z]+"), "A"),
    (re.compile(r"[a-z]+"), "a"),
    (re.compile(r"\d[\d,]*"), "9"),
    (re.compile(r"(?:a[_.-]?){2,}"), "a"),
)


class Link(NamedTuple):
    """The value of one call's argument came from an earlier call's response.

    Attributes:
        producer: position of the earlier call in `Task.calls`.
        key: place in its response.
        consumer: position of the later call.
        parameter: place in its arguments.
    """

    producer: int
    key: str
    consumer: int
    parameter: str


def find_links(calls: Sequence[Call], responses: Sequence[Sequence[str]]) -> list[Link]:
    """Arguments whose value is in an earlier response, linked to the latest such response.

    A field, an item or a key is preferred to a token of a text. A value that an earlier argument
    already had is left out.

    Args:
        responses: by turn.
    """
    flat = [text for turn in responses for text in turn]
    said: set[Any] = set()
    links: list[Link] = []
    for position, call in enumerate(calls):
        found: dict[tuple[int, str, str], Link] = {}
        for parameter, value in parts(call.arguments):
            token = _token(value)
            if token is None or token in said:
                continue
            source = _in_fields(token, flat[:position]) or _in_texts(value, flat[:position])
            if source is not None:
                link = Link(*source, position, parameter)
                found[link.producer, link.key, parameter] = link
        links += found.values()
        said.update(token for _, value in parts(call.arguments) if (token := _token(value)))
    return links


def parts(arguments: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The scalars of a call's arguments, each with its place."""
    stack = list(reversed(arguments.items()))
    while stack:
        place, value = stack.pop()
        if isinstance(value, dict):
            stack += [(f"{place}.{key}", inner) for key, inner in reversed(value.items())]
        elif isinstance(value, list | tuple):
            # `placed` has no place for the items of a list in a list.
            inner = (item for item in reversed(value) if not isinstance(item, list | tuple))
            stack += [(f"{place}[]", item) for item in inner]
        else:
            yield place, value


@lru_cache(maxsize=256)
def spots(response: str) -> tuple[tuple[str, Any], ...]:
    """The scalars of a response, each with its place; for a text without structure the whole."""
    try:
        data = json.loads(response)
    except (ValueError, RecursionError):
        return (("", response.strip()),)
    found: list[tuple[str, Any]] = []
    stack: list[tuple[str, Any]] = [("", data)]
    while stack and len(found) < NODES:
        name, value = stack.pop()
        if isinstance(value, dict):
            if (value and all(isinstance(inner, dict) for inner in value.values())) or _identified(
                value
            ):
                found += [(f"{name}{{}}", key) for key in value]
            stack += reversed(value.items())
        elif isinstance(value, list):
            stack += [(_item(name, inner), inner) for inner in reversed(value)]
        else:
            found.append((name, value))
    return tuple(found)


def readable(response: str) -> str:
    """A response, with its strings as they are added where JSON escapes characters."""
    if "\\" not in response:
        return response
    texts = (value for _, value in spots(response) if isinstance(value, str))
    return "\n".join((response, *texts))


def values_at(response: str, key: str) -> list[Any]:
    """All values at a place of a response, each once, in its order."""
    return list(_values_at(response, key))


@lru_cache(maxsize=4096)
def _values_at(response: str, key: str) -> tuple[Any, ...]:
    name, tilde, shape = key.partition("~")
    found = [value for place, value in spots(response) if place == name]
    if tilde:
        texts = [value for value in found if isinstance(value, str)]
        found = [
            _number(token) for text in texts for token in _tokens(text) if _shape(token) == shape
        ]
    by_token = {_token(value): value for value in found}
    by_token.pop(None, None)
    return tuple(by_token.values())


def placed(arguments: dict[str, Any], parameter: str, values: Sequence[Any]) -> dict[str, Any]:
    """Arguments with values at a place: all of them where it is in a list, else the first."""
    head, dot, rest = parameter.partition(".")
    name, is_list = head.removesuffix("[]"), head.endswith("[]")
    before = arguments.get(name)
    if not dot:
        return {**arguments, name: list(values) if is_list else values[0]}
    if not is_list:
        inner = before if isinstance(before, dict) else {}
        return {**arguments, name: placed(inner, rest, values)}
    items = [i for i in before if isinstance(i, dict)] if isinstance(before, list) else []
    items += [items[-1] if items else {}] * (len(values) - len(items))
    return {**arguments, name: [placed(i, rest, [v]) for i, v in zip(items, values, strict=False)]}


def _item(name: str, value: Any) -> str:
    """The place of a list's item; a record's fields have their own names."""
    return name if isinstance(value, dict) else f"{name}[]"


def _identified(value: dict[str, Any]) -> bool:
    """Whether the keys of a mapping are values and no names of fields.

    They are in {"W1001": 44.5}, and where all values are records.
    """
    records = all(isinstance(inner, dict) for inner in value.values())
    return bool(value) and (records or all(re.search(r"\d|[^\w]", key) for key in value))


def _in_fields(token: Any, responses: Sequence[str]) -> tuple[int, str] | None:
    """The latest response that has a value as a field, an item or a key, and its place there."""
    for position in reversed(range(len(responses))):
        if (key := _places(responses[position]).get(token)) is not None:
            return position, key
    return None


@lru_cache(maxsize=256)
def _places(response: str) -> dict[Any, str]:
    """The first place of each value of a response, by what values are compared by."""
    return {_token(value): place for place, value in reversed(spots(response))}


def _in_texts(value: Any, responses: Sequence[str]) -> tuple[int, str] | None:
    """The latest response that has a value as a whole token of a text, and its place there."""
    if not _telling(value):
        return None
    written = [text for text in spellings(value) if not text.isalpha() or isinstance(value, str)]
    for position in reversed(range(len(responses))):
        if not any(text in responses[position] for text in written):
            continue
        for name, text in spots(responses[position]):
            if isinstance(text, str) and any(says(text, one) for one in written):
                key = f"{name}~{_shape(written[0])}"
                if value in values_at(responses[position], key):
                    return position, key
    return None


def _telling(value: Any) -> bool:
    """Whether a value in a sentence is no coincidence: an id, a name of several words, a large or
    broken number; no word, and no single capitalised word."""
    if isinstance(value, bool) or value is None:
        return False
    if isinstance(value, str):
        text = value.strip()
        return len(text) >= 3 and bool(SIGN.search(text) or (" " in text and len(text) >= 8))
    return not float(value).is_integer() or abs(value) >= IN_TEXT


def _tokens(text: str) -> Iterator[str]:
    """What may be a value in a text: its words, and neighbours that are both capitalised."""
    words = [word.strip(".$€£") for word in TOKEN.findall(text[:20_000])]
    yield from filter(None, words)
    for one, two in pairwise(words):
        if one[:1].isupper() and two[:1].isupper():
            yield f"{one} {two}"


@lru_cache(maxsize=4096)
def _shape(text: str) -> str:
    """What tokens like this one have in common: "W1001" -> "A9", "user_771" -> "a_9"."""
    for pattern, sign in SHAPES:
        text = pattern.sub(sign, text)
    return text[:24]


def _number(token: str) -> Any:
    """A token of a text as the value that it writes."""
    plain = token.replace(",", "")
    if re.fullmatch(r"-?\d{1,15}", plain):
        return int(plain)
    return float(plain) if re.fullmatch(r"-?\d{1,15}\.\d{1,15}", plain) else token


def _token(value: Any) -> Any:
    """A value to compare by, or None if it may be equal by chance."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return None if abs(value) <= SMALL and float(value).is_integer() else ("number", value)
    if isinstance(value, str):
        return ("text", value) if len(value) >= 2 else None
    return None
