"""The seat of the agent: what plays an episode, from token ids or from messages.

`rods.rollout.tokens.TokenAgent` generates token ids with a renderer and a policy;
`rods.rollout.chat.ChatAgent` sends messages to a chat endpoint.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from rods.rollout.episode import Action
from rods.rollout.messages import Conversation, Message
from rods.task import ToolSpec


class Spoken(NamedTuple):
    """An action and its text, which the conversation keeps."""

    action: Action
    text: str


@dataclass
class Usage:
    """What an agent used in one episode.

    Attributes:
        tokens_in: tokens of all requests; the same history is counted each time.
        tokens_out: tokens that were generated.
        longest: tokens of the longest request with its answer.
        cut_off: actions that ended at the most tokens of an action.
        shortened: requests that were shorter than the one before: the server may have cut them.
        spent: why no tokens were left for another action, or "".
    """

    tokens_in: int = 0
    tokens_out: int = 0
    longest: int = 0
    cut_off: int = 0
    shortened: int = 0
    spent: str = ""

    def add(self, tokens_in: int, tokens_out: int, *, cut_off: bool) -> None:
        """Count one action."""
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out
        self.longest = max(self.longest, tokens_in + tokens_out)
        self.cut_off += cut_off


class Seat(Protocol):
    """The agent of one episode.

    Attributes:
        failure: why the agent itself failed, for example its server; the episode has no result.
    """

    usage: Usage
    failure: Exception | None

    async def act(self) -> Spoken | None:
        """The next action; None: the episode has no tokens left for it, or the agent has failed.

        An exception ends all episodes that are played together.
        """

    def observe(self, messages: Sequence[Message]) -> None:
        """Take the messages that answer the action; not called after the end of the episode."""

    def messages(self) -> list[dict[str, Any]]:
        """The conversation as the agent saw it, in the form of OpenAI's chat API."""


S = TypeVar("S", bound=Seat)


class Agent(ABC, Generic[S]):
    """Makes the seats of the episodes that are played together."""

    @abstractmethod
    def seat(self, number: int, conversation: Conversation, tools: Mapping[str, ToolSpec]) -> S:
        """The seat of an episode that begins.

        Args:
            number: of the episode among those that are played together, from 0.
            conversation: the messages so far; it grows with the episode.
            tools: all tools of the conversation's classes by name, on offer or not.
        """

    def enter(self, episodes: int) -> None:
        """This number of episodes begins; most agents need no count."""

    def leave(self) -> None:
        """One of them has ended."""
