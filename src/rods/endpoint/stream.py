"""The JSON of a response, which may be one value or, also if not asked for, a series of events."""

from __future__ import annotations

import json
import re
from typing import Any

from rods.endpoint.fault import Cause, Fault

DONE = "[DONE]"  # the last event of a stream


def whole_answer(body: str) -> Any:
    """The JSON of a body, which is one value or the events of a stream.

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
    """The chat completion that the events form together."""
    message: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    whole: dict[str, Any] = {"message": message, "finish_reason": None}
    spoke, events = False, _events(body)
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
            whole["finish_reason"] = choice.get("finish_reason") or whole["finish_reason"]
            if not choice.get("index"):
                _add(message, choice.get("delta") or choice.get("message") or {})
                if isinstance(choice.get("logprobs"), dict):
                    _add(whole.setdefault("logprobs", {}), choice["logprobs"])
    if whole["finish_reason"] is None and DONE not in events and "error" not in fields:
        raise Fault(Cause.DOWN, "the stream ends before the answer does")
    return {**fields, "choices": [whole] if spoke else []}


def _events(body: str) -> list[Any]:
    """The events; one may have several lines, and some servers have no empty line between them."""
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
    """Append a part of the answer to the earlier parts."""
    for name, value in delta.items():
        before = message.get(name)
        if name == "tool_calls" and isinstance(value, list):
            message[name] = _with_calls(before or [], value)
        elif isinstance(value, str) and isinstance(before, str):
            message[name] = before + value
        elif isinstance(value, list) and isinstance(before, list):
            message[name] = [*before, *value]
        elif value:
            message[name] = value


def _with_calls(calls: list[Any], deltas: list[Any]) -> list[Any]:
    """The calls with further parts: one that brings no new index, id or name continues a call.

    Only the arguments come in parts; some servers repeat the id and the name with each.
    """
    for delta in deltas:
        inside = delta.get("function") or {}
        index = delta.get("index")
        if index is None:
            open_call = calls[-1] if calls and not (delta.get("id") or inside.get("name")) else None
        else:
            open_call = next((call for call in calls if call.get("index") == index), None)
        if open_call is None:
            calls = [*calls, {**delta, "function": {**inside}}]
            continue
        before = open_call["function"]
        before["arguments"] = (before.get("arguments") or "") + (inside.get("arguments") or "")
        open_call["id"] = open_call.get("id") or delta.get("id")
        before["name"] = before.get("name") or inside.get("name")
    return calls
