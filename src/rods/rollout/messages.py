"""A conversation in the shape of OpenAI's chat API, with what is on offer in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from rods.task import Call, ToolSpec

Role = Literal["system", "user", "assistant", "tool"]
HINT = " Hint: "
"""Stands between a tool's response and its hint."""


class ToolCall(NamedTuple):
    """A call as the conversation has it."""

    id: str
    call: Call

    def openai(self) -> dict[str, Any]:
        """As the API writes it: the arguments are a JSON text."""
        arguments = json.dumps(self.call.arguments)
        function = {"name": self.call.name, "arguments": arguments}
        return {"id": self.id, "type": "function", "function": function}


@dataclass(frozen=True)
class Message:
    """One message. The last three fields have no place in OpenAI's shape.

    A message of the user with `error` is the environment's answer to an action that could not be
    read, and so has no call that a tool could answer.

    Attributes:
        content: of the assistant, all that it said, its calls included.
        tool_call_id: of the call that a tool answers.
        error: whether a tool reports an error, or the environment one of the assistant's.
        hint: what the environment adds to a tool's error.
        repeats: whether it only says of one more call what the message before says.
        tools: that come on offer with it.
    """

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    error: bool = False
    hint: str = ""
    repeats: bool = False
    tools: tuple[ToolSpec, ...] = ()

    @property
    def text(self) -> str:
        """The content with its hint."""
        return f"{self.content}{HINT}{self.hint}" if self.hint else self.content

    def openai(self) -> dict[str, Any]:
        """The message as the API takes it."""
        made: dict[str, Any] = {"role": self.role, "content": self.text}
        if self.tool_calls:
            made["tool_calls"] = [call.openai() for call in self.tool_calls]
        if self.tool_call_id:
            made["tool_call_id"] = self.tool_call_id
        return made

    def lines(self) -> Iterator[tuple[str, str]]:
        """For people: what something is ("tools", "error", or the role), and its text."""
        if self.tools:
            yield "tools", " ".join(tool.name for tool in self.tools)
        if (self.text or not self.tools) and not self.repeats:
            yield "error" if self.error else self.role, self.text


@dataclass
class Conversation:
    """Messages so far, to which more are only ever appended.

    Attributes:
        tools: on offer from its beginning, those of a class together.
        withheld: of the same classes, which a later message brings or none does. Most renderers
            tell the model nothing of them.
    """

    tools: tuple[ToolSpec, ...]
    withheld: tuple[ToolSpec, ...] = ()
    messages: list[Message] = field(default_factory=list)

    def openai(self) -> list[dict[str, Any]]:
        """The messages as the API takes them."""
        return [message.openai() for message in self.messages]

    def lines(self) -> list[tuple[str, str]]:
        """The conversation for people, from its tools on."""
        offered = " ".join(tool.name for tool in self.tools)
        return [("tools", offered), *lines(self.messages)]


def lines(messages: Sequence[Message]) -> list[tuple[str, str]]:
    """Messages for people."""
    return [line for message in messages for line in message.lines()]
