"""Calls to try a tool with, from its schema and from the state."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from rods.task import Call, ToolSpec

CALLS = 6  # of each tool
DEPTH = 6
LONGEST = 60  # characters of a text that is used
MOST = 200  # texts
PATHS = re.compile(r"path|file|dir|folder|repo", re.IGNORECASE)
WRITTEN = "rods"  # where the state has no text


class Texts:
    """Texts that occur in a state: paths and others.

    Args:
        state: of one server.
        folder: the name of its folder for the agent, or "".
    """

    def __init__(self, state: Any, folder: str) -> None:
        files = state.get("files") if isinstance(state, dict) else None
        names = list(files) if isinstance(files, dict) else []
        others = [t for t in dict.fromkeys(_texts(state)) if t not in names][:MOST]
        self.paths = [folder, *names] if folder else names
        self.others = others or [WRITTEN]

    def of(self, name: str) -> Sequence[str]:
        """Those that suit a parameter."""
        return self.paths if self.paths and PATHS.search(name) else self.others


def probes(spec: ToolSpec, texts: Texts) -> list[Call]:
    """With the required arguments, each third with all of them, and with varying values."""
    made = []
    for turn in range(CALLS):
        names = tuple(spec.parameters) if turn % 3 == 2 else spec.required
        values = {n: _value(n, spec.parameters[n], texts, turn) for n in names}
        call = Call.model_construct(name=spec.name, arguments=values)
        if call not in made:
            made.append(call)
    return made


def _value(name: str, schema: dict[str, Any], texts: Texts, turn: int, depth: int = 0) -> Any:
    for option in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        if isinstance(option, dict) and depth < DEPTH:
            return _value(name, option, texts, turn, depth + 1)
    if "const" in schema:
        return schema["const"]
    if choices := schema.get("enum"):
        return choices[turn % len(choices)]
    match schema.get("type"):
        case "integer":
            return max(turn + 1, int(schema.get("minimum", 0)))
        case "number":
            return turn + 0.5
        case "boolean":
            return turn % 2 == 0
        case "array":
            items = schema.get("items")
            if isinstance(items, dict) and depth < DEPTH:
                return [_value(name, items, texts, turn, depth + 1)]
            return []
        case "object":
            inner = schema.get("properties")
            named = inner if isinstance(inner, dict) and depth < DEPTH else {}
            return {
                key: _value(key, part, texts, turn, depth + 1)
                for key, part in named.items()
                if key in schema.get("required", ()) and isinstance(part, dict)
            }
        case "null":
            return None
    found = texts.of(name)
    return found[turn % len(found)]


def _texts(value: Any) -> list[str]:
    """Short texts of a state, with those of its keys that are data, in a fixed order."""
    if isinstance(value, str):
        return [value.strip()] if value.strip() and len(value) <= LONGEST else []
    if isinstance(value, dict):
        records = len(value) > 1 and all(isinstance(inner, dict) for inner in value.values())
        keys = list(value) if records else []  # ids of records
        return [*keys, *(t for inner in value.values() for t in _texts(inner))]
    return [t for item in value for t in _texts(item)] if isinstance(value, list) else []
