"""Renderers: turn a conversation into tokens for one family of models, and back.

Tokens in, tokens out: generated ids are stored unchanged, and text of the environment is encoded
once and appended. No id is decoded and encoded again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from rods.rollout.episode import Action
from rods.rollout.messages import Conversation, Message
from rods.task import ToolSpec


class Renderer(Protocol):
    """How one family of models writes tools, messages and calls.

    Attributes:
        stop_ids: each of them ends an action.
    """

    stop_ids: tuple[int, ...]

    def begin(self, conversation: Conversation) -> list[int]:
        """The prompt: the tools on offer, the messages so far, and the cue to act."""

    def extend(self, messages: Sequence[Message], action: Sequence[int]) -> list[int]:
        """What follows an action: the messages that answer it, with the tools that they bring, and
        the cue to act again.

        Args:
            action: its ids. If they have no stop id, the result begins with what ends them.
        """

    def parse(self, ids: Sequence[int], tools: Mapping[str, ToolSpec]) -> Action:
        """Read generated ids. Never raises: unreadable ids are a malformed action.

        Args:
            tools: all tools of the conversation's classes by name, on offer or not.
        """

    def show(self, ids: Sequence[int]) -> str:
        """Ids as text for people."""
