"""A conversation in the form of OpenAI's chat API, with the tools on offer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from rods.task import Call, ToolSpec

Role = Literal["system", "user", "assistant", "tool"]
VERDICT = "verdict"
"""The kind of line that has the verdict on the turn before it."""
HINT = " Hint: "
"""Separates a tool's response from its hint."""
RESTORED = "These tools can be called from now on: "


class ToolCall(NamedTuple):
    """A call with its id in the conversation."""

    id: str
    call: Call

    def openai(self) -> dict[str, Any]:
        """The call as the API writes it: the arguments are a JSON text."""
        arguments = json.dumps(self.call.arguments)
        function = {"name": self.call.name, "arguments": arguments}
        return {"id": self.id, "type": "function", "function": function}


@dataclass(frozen=True)
class Message:
    """One message. `error`, `hint`, `repeats` and `tools` are not part of OpenAI's form.

    A user message with `error` is the environment's answer to an action that could not be read, and
    so has no call that a tool message could answer.

    Attributes:
        content: the text; for the assistant all that it generated, including its calls.
        tool_call_id: id of the call that a tool message answers.
        error: whether a tool reports an error, or the environment a malformed action.
        hint: text that the environment adds to a tool's error.
        repeats: whether it only repeats the message before, for one more call.
        tools: tools that are offered from this message on.
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

    @property
    def announced(self) -> str:
        """The text, after the names of the tools that are offered from now on."""
        names = ", ".join(tool.name for tool in self.tools)
        return "\n\n".join(filter(None, [f"{RESTORED}{names}." if names else "", self.text]))

    def openai(self) -> dict[str, Any]:
        """The message as the API takes it."""
        made: dict[str, Any] = {"role": self.role, "content": self.text}
        if self.tool_calls:
            made["tool_calls"] = [call.openai() for call in self.tool_calls]
        if self.tool_call_id:
            made["tool_call_id"] = self.tool_call_id
        return made

    def lines(self) -> Iterator[tuple[str, str]]:
        """For people: pairs of kind ("tools", "error", or the role) and text."""
        if self.tools:
            yield "tools", " ".join(tool.name for tool in self.tools)
        if (self.text or not self.tools) and not self.repeats:
            yield "error" if self.error else self.role, self.text


@dataclass
class Conversation:
    """The messages so far; more are only appended.

    Attributes:
        tools: tools on offer from the beginning, ordered by class.
        withheld: tools of the same classes that a later message may bring. Most renderers do not
            show them to the model.
        verdicts: on each turn that was judged: the number of messages up to its end, and "passed"
            or why it failed. The model never sees them.
    """

    tools: tuple[ToolSpec, ...]
    withheld: tuple[ToolSpec, ...] = ()
    messages: list[Message] = field(default_factory=list)
    verdicts: list[tuple[int, str]] = field(default_factory=list)

    def openai(self) -> list[dict[str, Any]]:
        """The messages as the API takes them."""
        return [message.openai() for message in self.messages]

    def lines(self) -> list[tuple[str, str]]:
        """The conversation for people, beginning with its tools, with the verdict on each turn."""
        found, start = [("tools", " ".join(tool.name for tool in self.tools))], 0
        for end, verdict in self.verdicts:
            found += [*lines(self.messages[start:end]), (VERDICT, verdict)]
            start = end
        return found + lines(self.messages[start:])


def lines(messages: Sequence[Message]) -> list[tuple[str, str]]:
    """Messages for people."""
    return [line for message in messages for line in message.lines()]
