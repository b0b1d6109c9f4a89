"""A task under review, its limits, and the type of a gate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from rods.ablation import Ablation, ablate
from rods.envs.base import Environment
from rods.profile import Profile, profile_of
from rods.provenance import Source, sources
from rods.reward import GoldTrace, gold_trace
from rods.task import Task, ToolSpec


@dataclass(frozen=True)
class TaskLimits:
    """Limits of a synthetic task (paper, section 7, IV; the distance is ours).

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
class Case:
    """A task under review, and what its execution shows, which is computed at first use."""

    task: Task
    env: Environment
    limits: TaskLimits
    parent: Profile | None = None

    @cached_property
    def tools(self) -> dict[str, ToolSpec]:
        return self.env.tools(self.task)

    @cached_property
    def gold(self) -> GoldTrace:
        return gold_trace(self.task, self.env)

    @cached_property
    def ablations(self) -> list[Ablation]:
        return ablate(self.task, self.env, self.gold)

    @cached_property
    def sources(self) -> list[dict[str, Source]]:
        return sources(self.task, self.gold.responses, self.tools)

    @cached_property
    def profile(self) -> Profile:
        return profile_of(self.task, self.gold, self.ablations, self.tools)


class Gate(NamedTuple):
    """`name` is the fault; `passes` returns whether a case is without it."""

    stage: str
    name: str
    passes: Callable[[Case], bool]
