"""The renderer of chat models: a chat template, a way to show tools, and a way to write calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

from rods.envs.calls import DEFAULT, CallError, Refusal
from rods.renderers.dialects import Chat, Dialect
from rods.renderers.notation import Notation
from rods.renderers.template import ASKED, ChatTemplate
from rods.renderers.tools import foreign_texts
from rods.rollout.episode import Action
from rods.rollout.messages import Conversation, Message
from rods.task import Call, ToolSpec

UNREADABLE = "The answer cannot be read"
AGAIN = "Write it again as described at the beginning."


class RendererFacts(NamedTuple):
    """What decides the ids of a conversation, apart from the tokenizer.

    Attributes:
        family: name of the template if it is known, else "".
        template_sha256: of the text of the template.
        notation: how calls are written.
    """

    family: str
    dialect: str
    notation: str
    template_sha256: str
    chat_template_kwargs: dict[str, Any]
    tool_docs: str
    examples: int
    system: str | None


class ChatRenderer:
    """Implements `rods.rollout.renderer.Renderer` for a chat template.

    Attributes:
        stop_ids: each ends an answer; the first is the one of the template.
        facts: for a record of what was rendered.
    """

    def __init__(
        self, template: ChatTemplate, dialect: Dialect, notation: Notation, facts: RendererFacts
    ) -> None:
        self._template, self._dialect, self._notation = template, dialect, notation
        self.facts, self.stop_ids = facts, template.stops
        self.tokenizer = template.tokenizer
        self._control = {
            i
            for i, token in self.tokenizer.added_tokens_decoder.items()
            if token.special and token.content not in notation.marks
        }
        self._writes_system = False  # known once it was seen
        cue, whole = template.write([ASKED], cue=True), template.write([ASKED, template.said])
        self._before = whole[len(cue) :].partition(template.said["content"])[0]

    def begin(self, conversation: Conversation) -> list[int]:
        chat, tools = self._dialect.begin(conversation)
        self._check_system(conversation, chat, tools)
        texts = foreign_texts(conversation.messages, conversation.tools)
        return self._template.encode(chat, tools, True, texts)

    def _check_system(self, conversation: Conversation, chat: Chat, tools: Chat | None) -> None:
        """Refuse a template that drops the system message of tasks."""
        first = conversation.messages[:1]
        if self._writes_system or not first or first[0].role != "system":
            return
        if first[0].content.strip() not in self._template.write(chat, tools, cue=True):
            raise self._template.error("the chat template does not write a system message")
        self._writes_system = True

    def extend(self, messages: Sequence[Message], action: Sequence[int]) -> list[int]:
        bridge = self._template.bridge(self._dialect.follow(messages), foreign_texts(messages))
        return [*self._close(action), *bridge]

    def parse(self, ids: Sequence[int], tools: Mapping[str, ToolSpec]) -> Action:
        try:
            return Action(calls=tuple(self._read(ids, tools)))
        except CallError as error:
            return Action(malformed=f"{UNREADABLE} ({error}). {AGAIN}")

    def show(self, ids: Sequence[int]) -> str:
        return self._text(ids[:-1] if self._ended(ids) else ids)

    def write(self, calls: Sequence[Call]) -> list[int]:
        """An answer with these calls, as the model would generate it; without calls, an end."""
        text = self._notation.write(calls, self._before)
        return [*self._encode(text), self.stop_ids[0]]

    def whole(self, conversation: Conversation) -> list[int]:
        """The chat template applied once to a whole conversation, up to the end of its last answer.

        The template writes the calls of an answer, unless it cannot write so many.

        Raises:
            UserError: the template fails on a message.
        """
        messages, at = conversation.messages, 0
        spoken = [n for n, message in enumerate(messages) if message.role == "assistant"]
        first = replace(conversation, messages=list(messages[: spoken[0]]))
        chat, tools = self._dialect.begin(first)
        for at, until in pairwise([*spoken, spoken[-1] + 1]):
            chat = [*chat, self._answer(messages[at])]
            if until > at + 1:
                chat += self._dialect.follow(messages[at + 1 : until])
        texts = foreign_texts(conversation.messages, conversation.tools)
        ids = self._template.encode(chat, tools, environment=texts)
        return ids[: self._template.ended(ids)]

    def _answer(self, message: Message) -> dict[str, Any]:
        """An answer as the chat template takes it."""
        calls = message.tool_calls if self._dialect.native else ()
        if calls and len(calls) <= self._notation.most:
            named = [{"type": "function", "function": c.call.model_dump()} for c in calls]
            return {**self._template.said, "content": "", "tool_calls": named}
        return {**self._template.said, "content": message.content.removeprefix(self._before)}

    def _read(self, ids: Sequence[int], tools: Mapping[str, ToolSpec]) -> list[Call]:
        if not self._ended(ids):
            raise CallError(Refusal.NOT_CALLS, "it has no end")
        if not self._control.isdisjoint(ids[:-1]):
            raise CallError(Refusal.NOT_CALLS, "a control token within it")
        text = ("<think>" if self._template.thinks else "") + self._text(ids[:-1])
        if len(text) > DEFAULT.text:
            raise CallError(Refusal.TEXT, f"it has more than {DEFAULT.text} characters")
        calls = self._notation.read(text, tools)
        if len(calls) > DEFAULT.items:
            raise CallError(Refusal.ITEMS, f"it has more than {DEFAULT.items} calls")
        return calls

    def _close(self, action: Sequence[int]) -> list[int]:
        """What ends an action that was cut off."""
        if self._ended(action):
            return []
        text = self._text(action).lstrip()
        thinks = (self._template.thinks or text.startswith("<think>")) and "</think>" not in text
        return [*(self._encode("</think>") if thinks else ()), self.stop_ids[0]]

    def _ended(self, ids: Sequence[int]) -> bool:
        return bool(ids) and ids[-1] in self.stop_ids

    def _text(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), clean_up_tokenization_spaces=False))

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False))
