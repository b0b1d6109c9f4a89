"""From which text the agent can know the value of an argument.

`rods.flows` says which response produced it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Any

from rods.envs.lexicon import stems
from rods.task import Call, Task

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
        if not math.isfinite(value):
            return
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
