"""Where argument values come from: earlier responses that hold the same value."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from rods.task import Call

SMALL = 10  # integers up to this size, and booleans, coincide too often to prove a flow


class Link(NamedTuple):
    """The value of one call's argument came from an earlier call's response.

    `producer` and `consumer` are positions in `Task.calls`; `key` is the response's field.
    """

    producer: int
    key: str
    consumer: int
    parameter: str


def find_links(calls: Sequence[Call], responses: Sequence[Sequence[str]]) -> list[Link]:
    """Arguments whose value an earlier response produced, linked to its latest producer."""
    flat = [text for turn in responses for text in turn]
    produced: dict[Any, tuple[int, str]] = {}
    said: set[Any] = set()
    links = []
    for position, call in enumerate(calls):
        for name, value in call.arguments.items():
            token = _token(value)
            if token is None:
                continue
            if token in produced and token not in said:
                producer, key = produced[token]
                links.append(Link(producer, key, position, name))
        said.update(t for v in call.arguments.values() for t in _tokens(v))
        produced.update({token: (position, key) for key, token in fields(flat[position])})
    return links


def fields(response: str) -> Iterator[tuple[str, Any]]:
    """Named scalar fields of a JSON response, outside of lists, as (key, comparable value)."""
    try:
        value = json.loads(response)
    except (ValueError, RecursionError):
        return
    stack = [value]
    while stack:
        item = stack.pop()
        if not isinstance(item, dict):
            continue
        for key, inner in item.items():
            token = _token(inner)
            if token is not None:
                yield key, token
            stack.append(inner)


def field(response: str, key: str) -> Any:
    """The value of a response's first field of that name, or None."""
    try:
        stack = [json.loads(response)]
    except (ValueError, RecursionError):
        return None
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            if _token(item.get(key)) is not None:
                return item[key]
            stack += item.values()
    return None


def _tokens(value: Any) -> Iterator[Any]:
    for item in value if isinstance(value, list) else [value]:
        token = _token(item)
        if token is not None:
            yield token


def _token(value: Any) -> Any:
    """A value to compare by, or None where equality would prove nothing."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return None if abs(value) <= SMALL and float(value).is_integer() else ("number", value)
    if isinstance(value, str):
        return ("text", value) if len(value) >= 2 else None
    return None
