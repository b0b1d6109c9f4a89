"""Calls and forms as a model may write them: the inverse of what RODS reads."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from rods.rollout.messages import ToolCall
from rods.synthesis.llm.tagged import _scalar, fields
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


def to_tags(value: BaseModel) -> str:
    """A model's content in tags. A field that is None has no block."""
    return _written(type(value), value.model_dump(mode="json", by_alias=False))


def _written(model: type[BaseModel], data: Mapping[str, Any]) -> str:
    blocks = []
    for field in fields(model):
        value = data.get(field.name)
        for item in value if field.listed and value is not None else [value]:
            if item is None and (field.plain or field.model or not field.listed):
                continue
            if field.model is not None and isinstance(item, Mapping):
                text = "\n" + _written(field.model, item) + "\n"
            elif field.plain:
                text = html.escape(_scalar(item), quote=False)
            else:
                text = html.escape(json.dumps(item, ensure_ascii=False), quote=False)
            blocks.append(f"<{field.tag}>{text}</{field.tag}>")
    return "\n".join(blocks)
