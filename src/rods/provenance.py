"""From which text the agent can know the value of an argument.

`rods.flows` says which response produced it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any

from rods.envs.lexicon import stems
from rods.flows import readable
from rods.grounding import all_stated, choices, says, spellings, stated
from rods.task import Call, Task, ToolSpec

FLAG = re.compile(r'"(\w{1,64})":\s*(true|false)')  # a field of a response


class Source(IntEnum):
    """The text in which a value appears, from the nearest to the farthest."""

    HERE = 0
    """The user's message of the same turn."""
    BEFORE = 1
    """Only an earlier message of the user: this turn refers back."""
    OUTPUT = 2
    """Only an earlier response or the system message: the user never says it."""
    NOWHERE = 3
    """No text."""


def sources(
    task: Task, responses: Sequence[Sequence[str]], tools: Mapping[str, ToolSpec]
) -> list[dict[str, Source]]:
    """For each of `task.calls`, the source of each argument; for a list, that of its farthest item.

    Args:
        responses: the ground truth's responses, by turn.
        tools: by name; the schemas say which forms of a value count.
    """
    said, shown, found = "", task.system, []
    for turn, answers in zip(task.turns, responses, strict=True):
        for call, answer in zip(turn.ground_truth, answers, strict=True):
            found.append(_of_call(call, tools.get(call.name), turn.user, said, shown))
            shown += "\n" + readable(answer)
        said += "\n" + turn.user
    return found


def leaves(value: Any) -> Iterator[Any]:
    """The scalars of a value."""
    if isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from leaves(item)
    else:
        yield value


def _of_call(
    call: Call, tool: ToolSpec | None, here: str, said: str, shown: str
) -> dict[str, Source]:
    schemas = tool.parameters if tool else {}
    return {
        name: _farthest(value, name, schemas.get(name, {}), here, said, shown)
        for name, value in call.arguments.items()
    }


def _farthest(
    value: Any, name: str, schema: dict[str, Any], here: str, said: str, shown: str
) -> Source:
    if isinstance(value, list):
        for text, source in ((here, Source.HERE), (said, Source.BEFORE)):
            if all_stated(value, text, schema):
                return source
    found = (_source(v, name, schema, here, said, shown) for v in leaves(value))
    return max(found, default=Source.HERE)


def _source(
    value: Any, name: str, schema: dict[str, Any], here: str, said: str, shown: str
) -> Source:
    if stated(value, here, name, schema):
        return Source.HERE
    # A single word of no closed set may be in earlier words by chance.
    loose = value in choices(schema) or not str(value).isalpha()
    if stated(value, said, name, schema if loose else None):
        return Source.BEFORE
    return Source.OUTPUT if _shown(value, name, shown) else Source.NOWHERE


def _shown(value: Any, name: str, shown: str) -> bool:
    """Whether responses have a value; a truth value only under a name like the parameter's."""
    if isinstance(value, bool):
        fields = FLAG.findall(shown)
        return any(text == str(value).lower() and stems(key) & stems(name) for key, text in fields)
    return any(says(shown, written) for written in spellings(value))
