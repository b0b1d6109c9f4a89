"""What passes through the stages: a plan that becomes calls, then words, then a task."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from rods.task import Call


@dataclass(frozen=True)
class PlannedCall:
    """One call to be made: the tools to try in order, and where linked arguments come from.

    Attributes:
        sources: parameter -> (position of the producing step, field of its response).
    """

    tools: tuple[str, ...]
    sources: dict[str, tuple[int, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """Steps by turn for the base form of a task, i.e. before augmentation.

    Attributes:
        augmented: the turn that augmentation splits, or None.
        parent: id of the task whose profile is kept, or empty.
        refers: turns that should leave a value to earlier ones; None leaves it open.
        narrative: the story behind the turns, if there is one.
    """

    category: str
    classes: tuple[str, ...]
    turns: tuple[tuple[PlannedCall, ...], ...]
    augmented: int | None = None
    parent: str = ""
    refers: frozenset[int] | None = None
    narrative: str = ""

    @property
    def tools(self) -> tuple[tuple[str, ...], ...]:
        """First choices by turn."""
        return tuple(tuple(step.tools[0] for step in turn if step.tools) for turn in self.turns)


@dataclass(frozen=True)
class Executed:
    """A plan that ran: the base form of a task without words.

    Attributes:
        calls, responses: by turn.
        digests: of the state, at the start and after each turn; empty if they were not taken.
    """

    plan: Plan
    start: dict[str, Any]
    calls: tuple[tuple[Call, ...], ...]
    responses: tuple[tuple[str, ...], ...]
    digests: tuple[str, ...] = ()


class Words(Protocol):
    """What a grounder found to say for an executed plan."""

    def turn(self, index: int, missing: tuple[int, str] | None = None) -> str:
        """The user's words for a turn.

        Args:
            missing: (call within the turn, parameter) whose value is not said.
        """

    def stated(self, index: int) -> list[tuple[int, str]]:
        """(call within the turn, parameter) whose value the turn's words state."""

    def told(self, call: Call, parameter: str) -> str:
        """The words that supply a missing value."""
