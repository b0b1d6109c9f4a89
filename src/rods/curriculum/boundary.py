"""Boundary rules, which judge a task by its groups; here those that use the latest group only.

Departure from the paper: its rule, by the mean of the latest group, is one of several. With a
reward for each turn a group can be constant in between (every rollout fails at the same turn): its
mean says boundary, but its advantages are zero. The rule that uses all groups of a task is in
`rods.curriculum.posterior`.

A task's zone follows from its verified outcomes (`Group.verified`). Whether its next group will
have signal is judged by the rewards that are trained on; `posterior` judges it by the outcomes too,
since it forecasts only these.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import NamedTuple, Protocol

from rods.group import Group


class Zone(StrEnum):
    """Where a task lies with respect to the agent's ability."""

    MASTERED = "mastered"
    BOUNDARY = "boundary"
    HARD = "hard"


@dataclass(frozen=True)
class Thresholds:
    """Zone limits alpha-minus and alpha-plus on the mean outcome."""

    low: float = 0.20
    high: float = 0.85

    def zone(self, mean: float) -> Zone:
        """The paper's zones; both limits belong to the boundary."""
        if mean > self.high:
            return Zone.MASTERED
        return Zone.BOUNDARY if mean >= self.low else Zone.HARD


class Standing(NamedTuple):
    """A rule's judgement of a task.

    Attributes:
        mean: its expected mean outcome, in [0, 1].
        priority: the value of a group of it, in [0, 1]; higher is better.
        boundary: whether it may be a parent task.
        no_signal: whether its next group is expected to have no signal.
    """

    mean: float
    priority: float
    boundary: bool
    no_signal: bool


class BoundaryRule(Protocol):
    """Judges tasks by their groups. Its state is a function of the groups that it observed.

    Attributes:
        by_signal: whether it reads the signal; then tasks whose next group is expected to have none
            leave the pool, unless `pool.retire_no_signal` says otherwise.
        forecasts: the standing of a task may change in epochs without a group of it.
    """

    name: str
    by_signal: bool
    forecasts: bool

    def observe(self, group: Group) -> None: ...

    def standing(self, task_id: str, epoch: int) -> Standing | None:
        """The task's standing in that epoch; None if no group of it is known."""


class LatestGroupRule:
    """The base of three rules: only the latest complete group of a task counts."""

    name = ""
    by_signal = False
    forecasts = False

    def __init__(self) -> None:
        # Four numbers for each task; garbage collections would visit an object for each.
        self._places: dict[str, int] = {}
        self._numbers = array("d")

    def observe(self, group: Group) -> None:
        if group.complete:
            start = 4 * self._places.setdefault(group.task_id, len(self._places))
            self._numbers[start : start + 4] = array("d", self.judge(group))

    def standing(self, task_id: str, epoch: int) -> Standing | None:
        place = self._places.get(task_id)
        if place is None:
            return None
        mean, priority, boundary, no_signal = self._numbers[4 * place : 4 * place + 4]
        return Standing(mean, priority, bool(boundary), bool(no_signal))

    def judge(self, group: Group) -> Standing:
        """The standing of a task after one complete group."""
        raise AssertionError("each rule defines it")


class MeanRule(LatestGroupRule):
    """The paper's rule: mean within the limits, phi = 4 * mean * (1 - mean)."""

    name = "mean"

    def __init__(self, limits: Thresholds) -> None:
        super().__init__()
        self.limits = limits

    def judge(self, group: Group) -> Standing:
        mean = group.mean
        boundary = self.limits.zone(mean) is Zone.BOUNDARY
        return Standing(mean, 4 * mean * (1 - mean), boundary, group.constant)


class VarianceRule(LatestGroupRule):
    """A task is at the boundary if the outcomes of its group differ; its priority is 4 * variance.

    4 * variance is at most phi, with equality for binary outcomes (Bhatia-Davis).
    """

    name = "variance"
    by_signal = True

    def judge(self, group: Group) -> Standing:
        return Standing(group.mean, 4 * group.variance, group.undecided, group.constant)


class AdvantageRule(LatestGroupRule):
    """As `VarianceRule`, with the group's mean absolute advantage as priority.

    The variance of progress is largest for tasks of few turns, of which each moves it by much. GRPO
    normalises each group, so such groups teach no more than others. This priority has no scale.
    """

    name = "advantage"
    by_signal = True

    def judge(self, group: Group) -> Standing:
        return Standing(group.mean, group.advantage, group.undecided, group.constant)


class RandomRule(LatestGroupRule):
    """Any task may be a parent task, with a new random priority at each step: the paper's ablation.

    Args:
        seed: random seed of the priorities.
    """

    name = "random"

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed

    def judge(self, group: Group) -> Standing:
        drawn = Random(f"{self.seed} {group.step} {group.task_id}").random()
        return Standing(group.mean, drawn, True, group.constant)
