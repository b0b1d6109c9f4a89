"""Dialects: how a model is shown its tools and their results.

Native tools are written by the chat template. Prompted tools are in the words of the messages, so
that any chat template can be used.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol

from rods.renderers.notation import Notation
from rods.renderers.settings import RendererSettings
from rods.renderers.tools import content, function_schema, tool_list
from rods.rollout.messages import Conversation, Message
from rods.task import Call, ToolSpec

Chat = list[dict[str, Any]]
SILENT = {"role": "user", "content": ""}
SAMPLES = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}
"""Values of examples by their type; all others are the word "example"."""


class Dialect(Protocol):
    """Turns messages of a conversation into those of a chat template.

    Attributes:
        native: whether the chat template writes tools and calls.
    """

    native: bool

    def begin(self, conversation: Conversation) -> tuple[Chat, Chat | None]:
        """The messages of a prompt, and the tools for the template."""

    def follow(self, messages: Sequence[Message]) -> Chat:
        """The messages that answer an action."""


class NativeTools:
    """The chat template writes the tools, and each message as it is."""

    native = True

    def __init__(self, settings: RendererSettings) -> None:
        self._settings = settings

    def begin(self, conversation: Conversation) -> tuple[Chat, Chat | None]:
        system, messages = _system(conversation, self._settings)
        tools = [function_schema(tool, self._settings.tool_docs) for tool in conversation.tools]
        chat = self.follow(messages) or [SILENT]  # a template needs a message
        return [*_chat(system), *chat], tools or None

    def follow(self, messages: Sequence[Message]) -> Chat:
        return [self._message(message) for message in messages]

    def _message(self, message: Message) -> dict[str, Any]:
        made = {"role": message.role, "content": content(message, self._settings.tool_docs)}
        return made | ({"tool_call_id": message.tool_call_id} if message.tool_call_id else {})


class PromptedTools:
    """The system message has the tools; all that answers an action is one user message."""

    native = False

    def __init__(self, settings: RendererSettings, notation: Notation) -> None:
        self._settings, self._notation = settings, notation

    def begin(self, conversation: Conversation) -> tuple[Chat, None]:
        system, messages = _system(conversation, self._settings)
        tools = conversation.tools
        parts = [
            system,
            f"You can call these tools:\n{tool_list(tools, self._settings.tool_docs)}",
            f"{self._notation.form} The next message has the results.",
        ]
        examples = [m for tool in tools[: self._settings.examples] for m in self._example(tool)]
        before = [*_chat("\n\n".join(filter(None, parts))), *examples]
        return [*before, *self.follow(messages)], None

    def follow(self, messages: Sequence[Message]) -> Chat:
        parts = [self._part(message) for message in messages]
        return [{"role": "user", "content": "\n\n".join(filter(None, parts))}]

    def _example(self, tool: ToolSpec) -> Chat:
        """A request that names a call, and the call: small models learn the form from it."""
        kinds = {name: tool.parameters.get(name, {}).get("type") for name in tool.required}
        arguments = {name: SAMPLES.get(str(kind), "example") for name, kind in kinds.items()}
        asked = f"Call {tool.name} with {json.dumps(arguments)}."
        made = self._notation.write([Call(name=tool.name, arguments=arguments)])
        return [{"role": "user", "content": asked}, {"role": "assistant", "content": made}]

    def _part(self, message: Message) -> str:
        text = content(message, self._settings.tool_docs)
        return f"<tool_response>\n{text}\n</tool_response>" if message.role == "tool" else text


def _system(
    conversation: Conversation, settings: RendererSettings
) -> tuple[str, Sequence[Message]]:
    """The system message of the task, or else of the settings, and the messages after it."""
    messages = conversation.messages
    if messages and messages[0].role == "system":
        return content(messages[0], settings.tool_docs), messages[1:]
    return settings.system or "", messages


def _chat(system: str) -> Chat:
    return [{"role": "system", "content": system}] if system else []
