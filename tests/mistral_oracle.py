"""What mistral-common, which defines Mistral's format, makes of a conversation."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from mistral_common.protocol.instruct.messages import AssistantMessage, ToolMessage, UserMessage
from mistral_common.protocol.instruct.request import InstructRequest
from mistral_common.protocol.instruct.tool_calls import FunctionCall, Tool, ToolCall
from mistral_common.tokens.tokenizers.base import TokenizerVersion
from mistral_common.tokens.tokenizers.instruct import InstructTokenizerV13
from mistral_common.tokens.tokenizers.tekken import SpecialTokenInfo, Tekkenizer

from rods.extras import package_folder
from rods.renderers.families import MISTRAL, MISTRAL_SIZE


@cache
def _tokenizer() -> InstructTokenizerV13:
    file = package_folder("mistral_common") / "data/tekken_240911.json"
    content = json.loads(file.read_bytes())
    special = [
        SpecialTokenInfo(rank=rank, token_str=name, is_control=True)
        for rank, name in enumerate(MISTRAL)
    ]
    return InstructTokenizerV13(
        Tekkenizer(
            content["vocab"],
            special,
            content["config"]["pattern"],
            MISTRAL_SIZE,
            len(MISTRAL),
            TokenizerVersion.v13,
        )
    )


def mistral_ids(chat: list[dict[str, Any]], tools: list[dict[str, Any]]) -> list[int]:
    """The ids of messages in the form of OpenAI's API."""
    request = InstructRequest(
        messages=[_message(message) for message in chat],
        available_tools=[Tool.model_validate(tool) for tool in tools],
    )
    return list(_tokenizer().encode_instruct(request).tokens)


def _message(message: dict[str, Any]) -> Any:
    text = message["content"]
    if message["role"] == "user":
        return UserMessage(content=text)
    if message["role"] == "tool":
        return ToolMessage(content=text, tool_call_id=message["tool_call_id"])
    calls = [
        ToolCall(
            id="000000000",
            function=FunctionCall(
                name=call["function"]["name"], arguments=json.dumps(call["function"]["arguments"])
            ),
        )
        for call in message.get("tool_calls", ())
    ]
    return AssistantMessage(content=text, tool_calls=calls or None)
