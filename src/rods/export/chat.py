"""The start of a task's conversation in OpenAI's words: messages and tool specifications."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rods.task import Task, ToolSpec

SYSTEM = (
    "You serve a user in a conversation of several turns, with tools. In each turn call the tools"
    " that the request needs, one after the other or together, until it is done; then answer in a"
    " sentence without a call. If no tool that you have fits, or a value is missing that neither"
    " the user nor a tool has told, call nothing and say what is missing."
)


def first_messages(task: Task) -> list[dict[str, str]]:
    """What the agent reads before its first action."""
    said = task.turns[0].user
    messages = [{"role": "system", "content": SYSTEM}]
    return [*messages, {"role": "user", "content": said}] if said else messages


def first_tools(task: Task, tools: Mapping[str, ToolSpec]) -> list[dict[str, Any]]:
    """The tools on offer in the first turn; the withheld ones that it does not restore are not."""
    kept = set(task.withheld) - set(task.turns[0].restores)
    return [function(tool) for name, tool in tools.items() if name not in kept]


def function(tool: ToolSpec) -> dict[str, Any]:
    """A tool as OpenAI's API takes it."""
    parameters = {
        "type": "object",
        "properties": tool.parameters,
        "required": list(tool.required),
    }
    inner = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return {"type": "function", "function": inner}


def restored_tools(task: Task, tools: Mapping[str, ToolSpec]) -> list[list[dict[str, Any]]]:
    """For each turn the tools that it adds to those on offer."""
    return [[function(tools[name]) for name in turn.restores] for turn in task.turns]
