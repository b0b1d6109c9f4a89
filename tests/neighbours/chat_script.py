"""A chat endpoint that plays a script: it answers by the number of answers that it reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from contract import Script
from rods.task import Call, Task
from scripted_endpoint import Reply


def lines(script: Script) -> list[Call | None]:
    """The actions of an agent; None ends a turn with plain text."""
    return [action for turn in script for action in (*turn, None)]


def endpoint(tasks: dict[str, Task], agent: Callable[[Task], Script]) -> Callable[..., Reply]:
    """What the server does with a request: the task is known by its first user message."""
    scripts = {task.turns[0].user: lines(agent(task)) for task in tasks.values()}

    def reply(request: dict[str, Any]) -> Reply:
        said = request["messages"]
        first = next(m["content"] for m in said if m["role"] == "user")
        text = first if isinstance(first, str) else first[0]["text"]
        at = sum(m["role"] == "assistant" for m in said)
        return _reply(scripts[text][at], at, stream=bool(request.get("stream")))

    return reply


def _reply(call: Call | None, at: int, *, stream: bool) -> Reply:
    message: dict[str, Any] = {"role": "assistant", "content": "Done." if call is None else ""}
    if call is not None:
        function = {"name": call.name, "arguments": json.dumps(call.arguments)}
        made = {"id": f"call_{at}", "type": "function", "function": function}
        message["tool_calls"] = [{**made, "index": 0} if stream else made]
    choice = {"index": 0, "finish_reason": "stop" if call is None else "tool_calls"}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    head = {"id": "1", "created": 0, "model": "scripted"}
    if not stream:
        whole = {**head, "object": "chat.completion", "usage": usage}
        body = json.dumps({**whole, "choices": [{**choice, "message": message}]})
        return Reply(body=body.encode())
    chunk = {**head, "object": "chat.completion.chunk"}
    events = [
        {**chunk, "choices": [{**choice, "finish_reason": None, "delta": message}]},
        {**chunk, "choices": [{**choice, "delta": {}}]},
        {**chunk, "choices": [], "usage": usage},
    ]
    text = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    return Reply(
        body=f"{text}data: [DONE]\n\n".encode(), headers={"Content-Type": "text/event-stream"}
    )
