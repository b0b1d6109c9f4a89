"""A streamed answer as one: for servers that stream although the request says not to."""

from __future__ import annotations

import json
import re
from typing import Any

from rods.synthesis.llm.fault import Cause, Fault

DONE = "[DONE]"


def whole_answer(body: str) -> Any:
    """The JSON of a body, whether it came as a whole or as the events of a stream.

    Raises:
        ValueError, RecursionError: it is neither.
        Fault: the stream ends before the answer does.
    """
    body = body.strip()
    try:
        data, end = json.JSONDecoder().raw_decode(body)
    except ValueError:
        return _joined(body)
    if body[end:].replace("data:", "").replace(DONE, "").strip():
        raise ValueError("more than one value")
    return data


def _joined(body: str) -> dict[str, Any]:
    """The chat completion that the events make up."""
    message: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    finish, spoke, events = None, False, _events(body)
    if not events:
        raise ValueError("no events")
    for data in events:
        if data == DONE:
            continue
        fields |= {name: value for name, value in data.items() if name != "choices" and value}
        for choice in data.get("choices") or ():
            spoke = True
            if choice.get("error"):
                fields["error"] = choice["error"]
            finish = choice.get("finish_reason") or finish
            if not choice.get("index"):
                _add(message, choice.get("delta") or choice.get("message") or {})
    if finish is None and DONE not in events and "error" not in fields:
        raise Fault(Cause.DOWN, "the stream ends before the answer does")
    return {**fields, "choices": [{"message": message, "finish_reason": finish}] if spoke else []}


def _events(body: str) -> list[Any]:
    """What the events say; one may have several lines, and some servers part them by no blank."""
    found: list[Any] = []
    for event in re.split(r"\n\s*\n", re.sub(r"\r\n?", "\n", body)):
        lines = [line.strip() for line in event.split("\n")]
        parts = [line[5:].strip() for line in lines if line.startswith("data:")]
        parts = [part for part in parts if part]
        try:
            found += [DONE if part == DONE else json.loads(part) for part in parts]
        except ValueError:
            found.append(json.loads("\n".join(parts)))
    return found


def _add(message: dict[str, Any], delta: dict[str, Any]) -> None:
    """Append a part of the answer to what came before."""
    for name, value in delta.items():
        before = message.get(name)
        if isinstance(value, str) and isinstance(before, str):
            message[name] = before + value
        elif isinstance(value, list) and isinstance(before, list):
            message[name] = [*before, *value]
        elif value:
            message[name] = value
