"""The seat of the agent: what plays an episode, from token ids or from messages.

`rods.rollout.tokens.TokenAgent` generates token ids with a renderer and a policy;
`rods.rollout.chat.ChatAgent` sends messages to a chat endpoint.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from rods.rollout.episode import Action
from rods.rollout.messages import Conversation, Message
from rods.task import ToolSpec


class Spoken(NamedTuple):
    """An action and its text, which the conversation keeps."""

    action: Action
    text: str


class Seat(Protocol):
    """The agent of one episode."""

    async def act(self) -> Spoken | None:
        """The next action; None: the episode has no tokens left for it.

        An exception ends all episodes that are played together.
        """

    def observe(self, messages: Sequence[Message]) -> None:
        """Take the messages that answer the action; not called after the end of the episode."""


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
