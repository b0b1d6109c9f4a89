"""What models are shown of tools: schemas, and our words around them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from rods.files.plain_data import HALF
from rods.renderers.settings import ToolDocs
from rods.rollout.messages import Message
from rods.task import ToolSpec

SENTENCE_END = re.compile(r"(?<=[.!?])\s")
SHORT = ("type", "enum")  # what the short form keeps of a parameter's schema


def function_schema(tool: ToolSpec, docs: ToolDocs = "full") -> dict[str, Any]:
    """A tool in the form of `tools` in OpenAI's API.

    Args:
        docs: full: the whole document, the fields of the response at the end of the description;
            short: its first sentence, and the parameters' names and types.
    """
    description, parameters = tool.description.strip(), tool.parameters
    if docs == "short":
        description = SENTENCE_END.split(description, maxsplit=1)[0]
        parameters = {name: _short(schema) for name, schema in parameters.items()}
    elif tool.returns:
        description = f"{description} Returns {_json(tool.returns)}".strip()
    schema = {"type": "object", "properties": parameters, "required": list(tool.required)}
    function = {"name": tool.name, "description": description, "parameters": schema}
    return {"type": "function", "function": function}


def tool_list(tools: Iterable[ToolSpec], docs: ToolDocs) -> str:
    """A line of JSON for each tool."""
    return "\n".join(_json(function_schema(tool, docs)["function"]) for tool in tools)


def content(message: Message, docs: ToolDocs) -> str:
    """The text of a message with the tools that it brings: chat templates show tools only once."""
    text = HALF.sub("\ufffd", message.text)  # no tokenizer takes half of a character
    if not message.tools:
        return text
    brought = f"These tools can be called from now on:\n{tool_list(message.tools, docs)}"
    return f"{brought}\n\n{text}" if text else brought


def foreign_texts(messages: Sequence[Message], tools: Iterable[ToolSpec] = ()) -> list[str]:
    """What of messages and tools is not our own text."""
    brought = [tool for message in messages for tool in message.tools]
    return [tool_list([*tools, *brought], "full"), *(message.text for message in messages)]


def _short(schema: dict[str, Any]) -> dict[str, Any]:
    kept = {key: schema[key] for key in SHORT if key in schema}
    items = schema.get("items")
    return kept | ({"items": _short(items)} if isinstance(items, dict) else {})


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
