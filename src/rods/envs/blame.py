"""Which argument of a refused call is most likely at fault, and how a value misses its schema."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import JsonValue

from rods.envs.lexicon import GENERIC, stems
from rods.envs.livestate import LiveState, mentions

MAX_ERROR = 600
# The world, not a value, is in the way: what English error messages say then.
PRECONDITION = re.compile(
    r"\b(before|please|currently|authenticated|log(ged)?[ -]?in|needs? to|must be \w+ed|"
    r"not (yet |been )?(start|initiali|connect|open|runn|ready|activ))",
    re.IGNORECASE,
)
ABSENT = re.compile(r"\b(no such|not found|does not exist|unknown|not in)\b", re.IGNORECASE)
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list, tuple),
    "object": (dict,),
}


def error_text(text: str) -> str:
    """The message in a response: its "error" field if it is JSON, else all of it; bounded."""
    if len(text) <= 20_000:
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        first = found[0] if isinstance(found, list) and found else found
        if isinstance(first, dict) and "error" in first:
            return str(first["error"])[:MAX_ERROR]
    return text[:MAX_ERROR]


def misfit(value: JsonValue, schema: Mapping[str, Any]) -> str:
    """What a value ought to be, if it is not of the schema's type or choice; else ""."""
    wanted = schema.get("type")
    types = TYPES.get(wanted) if isinstance(wanted, str) else None
    if types and (
        not isinstance(value, types) or (isinstance(value, bool) and wanted != "boolean")
    ):
        return f"must be of type {wanted}"
    choices = schema.get("enum")
    if isinstance(choices, list) and choices and value not in choices:
        return f"must be one of {', '.join(map(str, choices[:12]))}"
    return ""


def blamed(arguments: Mapping[str, JsonValue], error: str, state: LiveState) -> tuple[str, bool]:
    """The argument at fault, or "" where nothing tells, and whether the error quotes its value.

    A quoted value weighs most, then the argument's name in the message; among equals a string
    that is nowhere in the live state is suspected before one that is.
    """
    said = stems(error)
    best, choice, quoted = 0.0, "", False
    for name, value in arguments.items():
        quotes = _quotes(error, value)
        named = len((stems(name) - GENERIC) & said) / max(1, len(stems(name) - GENERIC))
        unknown = isinstance(value, str) and not state.holds(value)
        score = quotes + 2.0 * named + 0.5 * unknown
        if score > best:
            best, choice, quoted = score, name, quotes >= 2.0
    return choice, quoted


def _quotes(error: str, value: JsonValue) -> float:
    items = value[:20] if isinstance(value, list) else [value]
    found = 0.0
    for item in items:
        if isinstance(item, str) and item and mentions(error, item[:MAX_ERROR]):
            found = max(found, 4.0 if len(item) >= 3 else 2.0)
        elif isinstance(item, int | float) and not isinstance(item, bool) and abs(item) < 10**18:
            # Small numbers stand in many messages by chance, as bounds do.
            near = mentions(error, str(item))
            found = max(found, near * (3.0 if abs(item) > 10 else 1.0))
    return found
