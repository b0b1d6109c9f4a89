"""Agents behind a scripted endpoint: one that knows the ground truth, and one that makes no call.

The perfect one finds the task by the random seed of the request: many tasks have the same words.
So evaluate it with `--temperature 1`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from rods.evaluation.episodes import Job
from rods.evaluation.settings import job_seed
from rods.rollout.messages import ToolCall
from rods.task import Call, Task
from scripted_endpoint import Reply

STEPS = 64  # seeds of one episode


def said(
    request: dict[str, Any],
    text: str = "",
    calls: Iterable[Call] = (),
    finish: str = "stop",
    **how: Any,
) -> Reply:
    """An answer with calls, and with as many tokens as the texts may have."""
    made = [ToolCall(f"made{i:05}", call).openai() for i, call in enumerate(calls)]
    return raw(request, text, made, finish, **how)


def raw(
    request: dict[str, Any], text: str, made: list[Any], finish: str = "stop", **how: Any
) -> Reply:
    """`said` with calls in any form."""
    message = {"role": "assistant", "content": text, **({"tool_calls": made} if made else {})}
    shown = json.dumps([request["messages"], request.get("tools")])
    usage = {
        "prompt_tokens": len(shown) // 4,
        "completion_tokens": 1 + len(json.dumps(message)) // 4,
    }
    choice = {"index": 0, "message": message, "finish_reason": finish}
    body = {"id": "1", "object": "chat.completion", "choices": [choice], "usage": usage}
    return Reply(body=json.dumps(body).encode(), **how)


def silent(request: dict[str, Any]) -> Reply:
    """Makes no call."""
    return said(request, "Done.")


class Perfect:
    """Answers each turn with its ground truth in one action, and then ends it."""

    def __init__(self, tasks: Iterable[Task], runs: int = 1, seed: int = 0) -> None:
        jobs = (Job(task, run) for task in tasks for run in range(runs))
        self.tasks = {job_seed(seed, job) // STEPS: job.task for job in jobs}

    def __call__(self, request: dict[str, Any]) -> Reply:
        calls = self.calls(request)
        return said(request, "" if calls else "Done.", calls)

    def task(self, request: dict[str, Any]) -> Task:
        return self.tasks[request["seed"] // STEPS]

    def calls(self, request: dict[str, Any]) -> tuple[Call, ...]:
        """The calls of the present turn, until they are answered."""
        users = [i for i, m in enumerate(request["messages"]) if m["role"] == "user"]
        if any(m["role"] == "tool" for m in request["messages"][users[-1] :]):
            return ()
        return self.task(request).turns[len(users) - 1].ground_truth
