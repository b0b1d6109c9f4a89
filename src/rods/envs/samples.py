"""Values that fit a JSON schema, to try a tool with."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from re import _parser  # type: ignore[attr-defined]  # the standard library's own reading of a pattern
from typing import Any

FORMATS: dict[str, tuple[str, ...]] = {
    "date": ("2026-01-01", "2026-12-31"),
    "date-time": ("2026-01-01T10:00:00Z", "2026-12-31T23:30:00Z"),
    "time": ("10:00:00", "23:30:00"),
    "duration": ("P1D", "PT2H"),
    "email": ("ann@example.org", "bo@example.org"),
    "uri": ("https://example.org/a", "https://example.org/b"),
    "hostname": ("example.org",),
    "ipv4": ("192.0.2.1", "192.0.2.2"),
    "ipv6": ("2001:db8::1",),
    "uuid": ("12345678-1234-4123-8123-123456789abc", "87654321-4321-4321-8321-cba987654321"),
    "json-string": ("{}", "[]"),
    "binary": ("YWJj",),
    "base64url": ("YWJj",),
    "path": ("a.txt",),
    "file-path": ("a.txt",),
    "directory-path": ("a",),
}
LETTERS = "a7b_cX"
MOST = 64  # repetitions and letters that are written


def sample(schema: dict[str, Any], texts: Sequence[str], turn: int) -> Any:
    """A value of the schema.

    Args:
        texts: strings that may mean something to the tool.
        turn: another number gives another value, if there is one.
    """
    for known in ("enum", "examples"):
        if schema.get(known):
            return schema[known][turn % len(schema[known])]
    if "const" in schema:
        return schema["const"]
    for several in ("anyOf", "oneOf"):
        if options := schema.get(several):
            return sample(options[turn % len(options)], texts, turn)
    if parts := schema.get("allOf"):
        merged = {key: value for part in parts for key, value in part.items()}
        return sample(merged, texts, turn)
    match schema.get("type"):
        case "integer":
            return int(_number(schema, turn + 1))
        case "number":
            return _number(schema, turn + 0.5)
        case "boolean":
            return turn % 2 == 0
        case "array":
            return _array(schema, texts, turn)
        case "object":
            return _object(schema, texts, turn)
        case "null":
            return None
        case _:
            return _string(schema, texts, turn)


def _number(schema: dict[str, Any], wanted: float) -> float:
    step = schema.get("multipleOf") or (1 if schema.get("type") == "integer" else 0.5)
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if "exclusiveMinimum" in schema:
        low = schema["exclusiveMinimum"] + step
    if "exclusiveMaximum" in schema:
        high = schema["exclusiveMaximum"] - step
    value = wanted if schema.get("multipleOf") is None else step * round(wanted)
    if low is not None and value < low:
        value = low + (wanted // 1) * step
    if high is not None and value > high:
        value = high
    return float(value)


def _array(schema: dict[str, Any], texts: Sequence[str], turn: int) -> list[Any]:
    first = [sample(each, texts, turn + i) for i, each in enumerate(schema.get("prefixItems", ()))]
    if first:
        return first
    size = min(max(schema.get("minItems", 1), 1), schema.get("maxItems", MOST), MOST)
    return [sample(schema.get("items") or {}, texts, turn + i) for i in range(size)]


def _object(schema: dict[str, Any], texts: Sequence[str], turn: int) -> dict[str, Any]:
    fields, required = schema.get("properties", {}), schema.get("required", ())
    names = required if turn % 2 == 0 else fields
    return {
        name: sample(fields[name], texts, turn + i)
        for i, name in enumerate(names)
        if name in fields
    }


def _string(schema: dict[str, Any], texts: Sequence[str], turn: int) -> str:
    low, high = schema.get("minLength", 0), schema.get("maxLength", 10**6)
    pattern, known = schema.get("pattern"), FORMATS.get(schema.get("format", ""), ())
    if pattern:
        known = (made,) if (made := matching(pattern, turn)) else known
    fitting = [t for t in texts if low <= len(t) <= high and (not pattern or _fits(pattern, t))]
    choice = [*known, *(fitting if not known or pattern else ())] or ["x"]
    return str(choice[turn % len(choice)]).ljust(min(low, MOST), "x")[:high]


def matching(pattern: str, turn: int = 0) -> str:
    """A string in which the pattern is found, or "" if none is known."""
    try:
        made = _written(_parser.parse(pattern), turn)
    except (re.error, RecursionError, OverflowError, LookupError, TypeError, ValueError):
        return ""
    return made if _fits(pattern, made) else ""


def _fits(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return False


def _written(parsed: Any, turn: int) -> str:
    return "".join(_part(str(kind), value, turn) for kind, value in islice(parsed, MOST))


def _part(kind: str, value: Any, turn: int) -> str:
    match kind:
        case "LITERAL":
            return chr(value)
        case "NOT_LITERAL":
            return next(letter for letter in LETTERS if ord(letter) != value)
        case "ANY":
            return LETTERS[turn % len(LETTERS)]
        case "IN":
            return _of_set(value, turn)
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            least, most, inner = value
            return "".join(_written(inner, turn + i) for i in range(min(max(least, 1), most, MOST)))
        case "SUBPATTERN":
            return _written(value[3], turn)
        case "ATOMIC_GROUP":
            return _written(value, turn)
        case "BRANCH":
            return _written(value[1][turn % len(value[1])], turn)
        case "CATEGORY":
            return {"CATEGORY_DIGIT": "7", "CATEGORY_SPACE": " "}.get(str(value), "a")
        case _:  # positions and look-around; the result is compared with the whole pattern
            return ""


def _of_set(parts: Any, turn: int) -> str:
    if str(parts[0][0]) == "NEGATE":
        refused = _members(parts[1:])
        return next(letter for letter in LETTERS + " -." if letter not in refused)
    found = [
        chr(min(value[0] + turn % 10, value[1]))
        if str(kind) == "RANGE"
        else _part(str(kind), value, turn)
        for kind, value in parts
    ]
    return found[turn % len(found)]


def _members(parts: Any) -> str:
    ranges = [v for k, v in parts if str(k) == "RANGE"]
    written = "".join(_part(str(k), v, 0) for k, v in parts if str(k) != "RANGE")
    return written + "".join(chr(c) for low, high in ranges for c in range(low, high + 1))
