"""A task under review, its limits, and the type of a gate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from rods.profile import Profile
from rods.reward import GoldTrace, gold_trace
from rods.synthesis.meaning.learned import Learned
from rods.synthesis.meaning.trace import CallTrace


@dataclass(frozen=True)
class TaskLimits:
    """Limits of a synthetic task (paper, appendix G; the distance is ours).

    Attributes:
        string: characters of a string in an argument.
        items: of a list or mapping in an argument.
        turns: of the task.
        distance: of its profile from its parent's, in [0, 1].
    """

    string: int = 200
    items: int = 5
    turns: int = 5
    distance: float = 0.25


@dataclass
class Case(CallTrace):
    """A task under review.

    Attributes:
        parent: the profile of its parent.
        learned: what the seed tasks show about values; None if nothing was learned.
    """

    limits: TaskLimits
    parent: Profile | None = None
    learned: Learned | None = None

    @cached_property
    def gold(self) -> GoldTrace:
        """The trace of one execution; it is under review, so it is not trusted."""
        return gold_trace(self.task, self.env)


class Gate(NamedTuple):
    """`name` is the fault; `passes` returns whether a case is without it."""

    stage: str
    name: str
    passes: Callable[[Case], bool]
