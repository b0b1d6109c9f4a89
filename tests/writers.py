"""Calls as a model may write them: the inverse of what RODS reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rods.rollout.messages import ToolCall
from rods.task import Call


def write_python(calls: Sequence[Call]) -> str:
    """BFCL's notation."""
    return f"[{', '.join(map(str, calls))}]"


def write_json(calls: Sequence[Call]) -> str:
    """A JSON list of objects with `name` and `arguments`."""
    return json.dumps([{"name": call.name, "arguments": call.arguments} for call in calls])


def write_blocks(calls: Sequence[Call]) -> str:
    """A `<tool_call>` block for each call."""
    return "\n".join(f"<tool_call>\n{write_json([call])[1:-1]}\n</tool_call>" for call in calls)


def write_objects(calls: Sequence[Call]) -> list[dict[str, Any]]:
    """OpenAI's `tool_calls`; the ids number the calls."""
    return [ToolCall(f"call_{i}", call).openai() for i, call in enumerate(calls)]
