"""What to add to the file if a response differs from session to session."""

from __future__ import annotations

import json
import re

from rods.errors import shown

MOST = 4_000  # characters that are compared
FAILED = re.compile(
    r"\W*(?:\w+ ){0,2}(?:error|exception|traceback|failed|failure)\b", re.IGNORECASE
)
KINDS = (
    ("mask", "time", r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?"),
    ("mask", "date", r"[A-Z][a-z]{2} [A-Z][a-z]{2} +\d+ [\d: ]+(?:GMT\S*)?(?: \([^)]*\))?"),
    ("mask", "hour", r"\b\d\d:\d\d:\d\d(?:\.\d+)?\b"),
    ("ids", "id", r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"),
    ("mask", "number of time", r"\b1[6-9]\d{8}(?:\d{3}){0,3}(?:\.\d+)?\b"),
    ("ids", "hash", r"\b[0-9a-f]{7,64}\b"),
)


def looks_failed(text: str) -> bool:
    """Whether a response that is no error reads like one."""
    return FAILED.match(text) is not None


def advice(one: str, other: str) -> str:
    """How two responses to the same call differ, with the line to add to the file."""
    one, other = one[:MOST], other[:MOST]
    mine, theirs, lines = one, other, []
    for section, name, pattern in KINDS:
        if re.findall(pattern, mine) != re.findall(pattern, theirs):
            mine, theirs = re.sub(pattern, "", mine), re.sub(pattern, "", theirs)
            lines.append(f'{section}: "{name}": {json.dumps(pattern)}')
    if mine == theirs:
        return f"add to {', to '.join(lines)}"
    pairs = enumerate(zip(one, other, strict=False))
    at = next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))
    parts = [shown(text[max(0, at - 10) : at + 30], 40) for text in (one, other)]
    return f"{parts[0]!r} and {parts[1]!r}; mask it, fix its clock or seed, or leave the tool out"
