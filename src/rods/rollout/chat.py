"""An agent behind a chat endpoint: messages go out, text and calls come back.

The server's text of a call is sent back to it unchanged, with the server's own id. A server without
a parser returns calls within the text; they are read as the renderers read them. An answer that
cannot be read is malformed, and so is one that was cut off: neither ends a turn by mistake.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rods.endpoint.answer import ChatAnswer, RawCall
from rods.endpoint.client import ChatClient
from rods.endpoint.fault import Fault
from rods.endpoint.request import ChatRequest
from rods.errors import shown
from rods.renderers.dialects import Dialect, NativeTools, PromptedTools
from rods.renderers.notation import Notation
from rods.renderers.notations import NATIVE_NOTATIONS, Blocks, Thoughtful
from rods.renderers.settings import RendererSettings
from rods.renderers.tools import function_schema
from rods.rollout.agent import Agent, Spoken, Usage
from rods.rollout.chat_answers import Fenced, read_action
from rods.rollout.messages import Conversation, Message
from rods.task import ToolSpec

MOST_SHOWN = 200  # characters of a server's error


class ChatSampling(NamedTuple):
    """How actions are generated.

    Attributes:
        max_tokens: most tokens of an action.
        context: most tokens of a request with its answer; None: the server's own limit.
        seed: random seed; None: the server draws its own.
    """

    max_tokens: int = 1024
    temperature: float = 0.0
    top_p: float = 1.0
    context: int | None = None
    seed: int | None = None


@dataclass
class ChatAgent(Agent["ChatSeat"]):
    """A model behind a chat endpoint.

    Attributes:
        settings: how tools are shown. The native dialect uses the request's `tools`; the others
            write the tools into the system message.
    """

    client: ChatClient
    settings: RendererSettings = field(default_factory=RendererSettings)
    sampling: ChatSampling = field(default_factory=ChatSampling)

    @property
    def native(self) -> bool:
        """Whether tools are sent in the request's `tools`."""
        return self.settings.dialect in ("auto", "native")

    @property
    def notations(self) -> Sequence[Notation]:
        """In which calls within a text are read."""
        if self.native:
            return (*NATIVE_NOTATIONS, Fenced())
        return (Thoughtful() if self.settings.dialect == "envtuning" else Blocks(),)

    @property
    def dialect(self) -> Dialect:
        """How tools and their results are shown."""
        if self.native:
            return NativeTools(self.settings)
        return PromptedTools(self.settings, self.notations[0])

    def seat(
        self, number: int, conversation: Conversation, tools: Mapping[str, ToolSpec]
    ) -> ChatSeat:
        return ChatSeat(self, conversation, tools)


class ChatSeat:
    """A `ChatAgent` in one episode."""

    def __init__(
        self,
        agent: ChatAgent,
        conversation: Conversation,
        tools: Mapping[str, ToolSpec],
    ) -> None:
        self.usage = Usage()
        self.failure: Exception | None = None
        self._agent, self._conversation, self._tools = agent, conversation, tools
        self._chat, schemas = agent.dialect.begin(conversation)
        self._schemas = list(schemas or ())
        self._raw: Sequence[RawCall] = ()  # calls of the last action
        self._thoughts: dict[int, str] = {}  # by the index of their message
        self._asked = self._read = 0

    async def act(self) -> Spoken | None:
        try:
            answer = await self._agent.client.ask(self._request())
        except Fault as fault:
            if fault.over_context:
                self.usage.spent = f"the server refuses: {shown(fault.detail, MOST_SHOWN)}"
            else:
                self.failure = fault
            return None
        return None if self._over(answer) else self._say(answer)

    def observe(self, messages: Sequence[Message]) -> None:
        ids, agent = self._identify(), self._agent
        if not agent.native:
            self._chat += agent.dialect.follow(messages)
            return
        for message in messages:
            self._schemas += [function_schema(t, agent.settings.tool_docs) for t in message.tools]
            made = {"role": message.role, "content": message.announced}
            if message.tool_call_id:
                made["tool_call_id"] = ids.get(message.tool_call_id, message.tool_call_id)
            self._chat.append(made)

    def messages(self) -> list[dict[str, Any]]:
        return [
            message | ({"reasoning_content": thought} if (thought := self._thoughts.get(i)) else {})
            for i, message in enumerate(self._chat)
        ]

    def _request(self) -> ChatRequest:
        sampling, self._asked = self._agent.sampling, self._asked + 1
        return ChatRequest(
            self._chat,
            tuple(self._schemas),
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            seed=None if sampling.seed is None else sampling.seed + self._asked,
        )

    def _over(self, answer: ChatAnswer) -> bool:
        """Count an answer's tokens; whether the context is too small for it."""
        total, context = answer.tokens_in + answer.tokens_out, self._agent.sampling.context
        self.usage.add(answer.tokens_in, answer.tokens_out, cut_off=answer.cut)
        self.usage.shortened += 0 < answer.tokens_in < self._read
        self._read = answer.tokens_in
        if context is None or total <= context:
            return False
        numbers = f"{total:,} tokens and the context {context:,}"
        self.usage.spent = f"a request with its answer has {numbers}"
        return True

    def _say(self, answer: ChatAnswer) -> Spoken:
        action, text = read_action(answer, self._tools, self._agent.notations), answer.text
        self._raw = () if action.malformed else answer.calls
        if action.malformed and answer.calls:
            text = "\n".join(
                filter(None, [text, *(f"{c.name} {c.arguments}" for c in answer.calls)])
            )
        if self._raw and not self._agent.native:  # the server has read them although not asked to
            self._raw = ()
            text = "\n".join(filter(None, [text, self._agent.notations[0].write(action.calls)]))
        if answer.thinking:
            self._thoughts[len(self._chat)] = answer.thinking
        self._chat.append({"role": "assistant", "content": text})
        if self._raw:
            self._chat[-1]["tool_calls"] = [_sent(raw, raw.id) for raw in self._raw]
        return Spoken(action, text)

    def _identify(self) -> dict[str, str]:
        """The server's ids of the last action's calls, by the ids of the conversation.

        Calls beyond the most of an action leave the history: nothing answers them.
        """
        said = (m for m in reversed(self._conversation.messages) if m.role == "assistant")
        own = [made.id for made in next(said).tool_calls]
        raw = self._raw[: len(own)]
        named = [call.id for call in raw]
        if not all(named) or len({*named}) < len(named):
            named = own
        if raw:
            sent = [_sent(call, name) for call, name in zip(raw, named, strict=True)]
            self._chat[-1]["tool_calls"] = sent
        return dict(zip(own, named, strict=False))


def _sent(raw: RawCall, name: str) -> dict[str, Any]:
    """A call of the server as it is sent back."""
    function = {"name": raw.name, "arguments": raw.arguments.strip() or "{}"}
    return {"id": name, "type": "function", "function": function}
