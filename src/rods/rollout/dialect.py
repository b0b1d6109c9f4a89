"""How a conversation becomes tokens for one model family, and back.

Tokens in, tokens out: what the model generated is kept as it was, and the environment's suffix is
encoded once and appended; nothing is ever decoded and tokenised again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rods.rollout.episode import Action, Message
from rods.task import Call, Task, ToolSpec


class Dialect(Protocol):
    """One model family's way of writing tools, turns, calls and observations."""

    stop_ids: tuple[int, ...]

    def open(self, task: Task, messages: Sequence[Message]) -> list[int]:
        """The prompt: the offered tools, the first user turn, and the cue to act."""

    def extend(self, messages: Sequence[Message]) -> list[int]:
        """What is appended after an action: observations, perhaps a user turn, and the cue."""

    def write(self, calls: Sequence[Call]) -> list[int]:
        """The tokens of an action that makes these calls (none: the turn is done)."""

    def parse(self, ids: Sequence[int], tools: dict[str, ToolSpec]) -> Action:
        """Read generated tokens. Never raises: nonsense is a malformed action."""

    def show(self, ids: Sequence[int]) -> str:
        """Tokens as text for people."""
