"""The interfaces of the stages, and the data between them: a plan, its calls, and their words."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from rods.synthesis.failures import History
from rods.task import Call, Task


@dataclass(frozen=True)
class PlannedCall:
    """One call to be made: the tools to try, in order, and the sources of linked arguments.

    Attributes:
        sources: place in the arguments -> (position of the producing step, place in its response);
            several where a list has values of several places. See `rods.flows`.
        arguments: those with which it was executed when the plan was made; None if it was not.
    """

    tools: tuple[str, ...]
    sources: dict[str, tuple[tuple[int, str], ...]] = field(default_factory=dict)
    arguments: dict[str, Any] | None = None


@dataclass(frozen=True)
class Plan:
    """Steps by turn for the base form of a task, i.e. before augmentation.

    Attributes:
        augmented: the turn that augmentation splits, or None.
        parent: id of the task whose profile is kept, or empty.
        refers: turns that should not repeat a value of an earlier turn; None if any may.
        narrative: the story of the turns, if there is one.
        said: what the user of the parent says, by turn.
        system: the system message of the conversation.
        start: the start state that it was made for; None: one is drawn.
        note: the task's `note`.
    """

    category: str
    classes: tuple[str, ...]
    turns: tuple[tuple[PlannedCall, ...], ...]
    augmented: int | None = None
    parent: str = ""
    refers: frozenset[int] | None = None
    narrative: str = ""
    said: tuple[str, ...] = ()
    system: str = ""
    start: dict[str, Any] | None = None
    note: str = ""

    @property
    def tools(self) -> tuple[tuple[str, ...], ...]:
        """The first tool of each step, by turn."""
        return tuple(tuple(step.tools[0] for step in turn if step.tools) for turn in self.turns)


@dataclass(frozen=True)
class Executed:
    """A plan that was executed: the base form of a task without words.

    Attributes:
        calls, responses: by turn.
        digests: of the state, at the start and after each turn; empty if they are unknown.
    """

    plan: Plan
    start: dict[str, Any]
    calls: tuple[tuple[Call, ...], ...]
    responses: tuple[tuple[str, ...], ...]
    digests: tuple[str, ...] = ()


class Words(Protocol):
    """What the user says for an executed plan."""

    def turn(self, index: int, missing: tuple[int, str] | None = None) -> str:
        """The user's words for a turn.

        Args:
            missing: (call within the turn, parameter) whose value is left out.
        """

    def stated(self, index: int) -> list[tuple[int, str]]:
        """Each (call within the turn, parameter) whose value the turn's words state."""

    def answer(self, call: Call, parameter: str) -> str:
        """The words that supply a missing value."""


class Planner(Protocol):
    """Stage I."""

    def plan(self, parent: Task, history: History, rng: random.Random, *, keep: bool) -> Plan:
        """A plan with the parent's profile that differs from those that failed.

        Args:
            keep: use the parent's sequence of tools.

        Raises:
            SynthesisError: there is none.
        """


class Executor(Protocol):
    """Stage II."""

    def execute(self, plan: Plan, history: History, rng: random.Random) -> Executed:
        """The plan, executed in a new start state.

        Raises:
            SynthesisError: some step cannot be executed.
        """


class Grounder(Protocol):
    """Stage III."""

    def ground(self, executed: Executed, rng: random.Random) -> Words:
        """What the user says.

        Raises:
            SynthesisError: there are no words for it.
        """


class Judge(Protocol):
    """The part of stage IV that is not a gate."""

    def judge(
        self,
        task: Task,
        executed: Executed,
        rng: random.Random,
        review: Callable[[Task], None],
    ) -> Task:
        """The task unchanged or with better words, which have passed the gates.

        Args:
            review: the gates; raises a `SynthesisError` for a task that they refuse.

        Raises:
            SynthesisError: it is rejected.
        """
