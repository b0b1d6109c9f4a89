"""How a conversation becomes tokens for one family of models, and back.

Tokens in, tokens out: what the model generated is kept as it was, and what the environment says is
encoded once and appended; nothing is ever decoded and tokenised again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from rods.rollout.episode import Action
from rods.rollout.messages import Conversation, Message
from rods.task import ToolSpec


class Renderer(Protocol):
    """One family's way of writing tools, messages and calls.

    Attributes:
        stop_ids: each of them ends an action.
    """

    stop_ids: tuple[int, ...]

    def begin(self, conversation: Conversation) -> list[int]:
        """The prompt: the tools on offer, the messages so far, and the cue to act."""

    def extend(self, messages: Sequence[Message]) -> list[int]:
        """What follows an action: the messages that it led to with the tools that come on offer
        with them, and the cue to act again."""

    def parse(self, ids: Sequence[int], tools: Mapping[str, ToolSpec]) -> Action:
        """Read what was generated. Never raises: nonsense is a malformed action.

        Args:
            tools: of the conversation's classes by name, on offer or not.
        """

    def show(self, ids: Sequence[int]) -> str:
        """Ids as text for people."""
