"""Where the value of an argument comes from.

`sources` says from which text the agent can know each value. `find_links` compares values exactly:
it says which earlier response produced a value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

from rods.envs.lexicon import stems
from rods.task import Call, Task

SMALL = 10  # integers up to this size, and booleans, are too often equal by chance
# How people write small numbers.
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


class Source(IntEnum):
    """The text in which a value appears, from the nearest to the farthest."""

    HERE = 0
    """The user's message of the same turn."""
    BEFORE = 1
    """Only an earlier message of the user: this turn refers back."""
    OUTPUT = 2
    """Only an earlier response: the user never says it."""
    NOWHERE = 3
    """No text."""


class Link(NamedTuple):
    """The value of one call's argument came from an earlier call's response.

    Attributes:
        producer: position of the earlier call in `Task.calls`.
        key: field of its response.
        consumer: position of the later call.
        parameter: name of its argument.
    """

    producer: int
    key: str
    consumer: int
    parameter: str


def sources(task: Task, responses: Sequence[Sequence[str]]) -> list[dict[str, Source]]:
    """For each of `task.calls`, the source of each argument; for a list, that of its farthest item.

    Args:
        responses: the ground truth's responses, by turn.
    """
    said, shown, found = "", "", []
    for turn, answers in zip(task.turns, responses, strict=True):
        for call, answer in zip(turn.ground_truth, answers, strict=True):
            found.append(_of_call(call, turn.user, said, shown))
            shown += "\n" + answer
        said += "\n" + turn.user
    return found


def find_links(calls: Sequence[Call], responses: Sequence[Sequence[str]]) -> list[Link]:
    """Arguments whose value is in an earlier response, linked to the latest such response.

    A value that an earlier argument already had is left out.
    """
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
    """Named scalar fields of a JSON response that are not in a list, as (key, comparable value)."""
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


def stated(value: Any, text: str, name: str = "") -> bool:
    """Whether a text contains a scalar, as people or tools write it.

    Args:
        name: the parameter; for a truth value it is enough that the text mentions the parameter.
    """
    if isinstance(value, bool) and name:
        return says(text, str(value).lower()) or bool(stems(name) & stems(text))
    return any(says(text, written) for written in spellings(value))


def spellings(value: Any) -> Iterator[str]:
    """How a scalar may be written."""
    if value is None or isinstance(value, bool):
        yield json.dumps(value)
    elif isinstance(value, str):
        yield value
    else:
        yield json.dumps(value)
        if value == int(value):
            yield str(int(value))
            yield f"{int(value):,}"
            if 0 <= value < len(WORDS):
                yield WORDS[int(value)]
        else:
            yield f"{value:,}"


def leaves(value: Any) -> Iterator[Any]:
    """The scalars of a value."""
    if isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from leaves(item)
    else:
        yield value


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


def _of_call(call: Call, here: str, said: str, shown: str) -> dict[str, Source]:
    return {
        name: max((_source(v, name, here, said, shown) for v in leaves(value)), default=Source.HERE)
        for name, value in call.arguments.items()
    }


def _source(value: Any, name: str, here: str, said: str, shown: str) -> Source:
    if stated(value, here, name):
        return Source.HERE
    if stated(value, said, name):
        return Source.BEFORE
    return Source.OUTPUT if stated(value, shown) else Source.NOWHERE


def _joined(beyond: str, edge: str) -> bool:
    """Whether the characters next to a value make it part of a longer word or number."""
    if not (edge.isalnum() or edge == "_"):
        return False
    first, second = beyond[:1], beyond[1:2]
    return _wordy(first) or (first == "." and _wordy(second))


def _wordy(character: str) -> bool:
    return character.isalnum() or character == "_"


def _tokens(value: Any) -> Iterator[Any]:
    for item in value if isinstance(value, list) else [value]:
        token = _token(item)
        if token is not None:
            yield token


def _token(value: Any) -> Any:
    """A value to compare by, or None if it may be equal by chance."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return None if abs(value) <= SMALL and float(value).is_integer() else ("number", value)
    if isinstance(value, str):
        return ("text", value) if len(value) >= 2 else None
    return None
