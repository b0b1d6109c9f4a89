"""The capability boundary, read off the rewards of groups of K rollouts (paper section 5).

Departure from the paper: beside its rule by the mean reward there is one by observed variance.
Under a per-turn reward a group can be constant in between (every rollout fails at the same turn):
its mean says boundary, its advantage is zero. Whether a group is constant is decided by exact
equality of its rewards, never by a rounded mean.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, pvariance
from typing import Protocol


class Signal(StrEnum):
    """What a group teaches, and if nothing, why."""

    SIGNAL = "signal"
    ALL_SOLVED = "all solved"
    ALL_FAILED = "all failed"
    CONSTANT = "constant in between"


class Zone(StrEnum):
    """Where a task lies with respect to the agent's ability."""

    MASTERED = "mastered"
    BOUNDARY = "boundary"
    HARD = "hard"


@dataclass(frozen=True)
class Group:
    """K rollouts of one task under one policy.

    Attributes:
        rewards: progress rewards in [0, 1], shape [K].
    """

    task_id: str
    category: str
    rewards: tuple[float, ...]
    epoch: int
    step: int

    @property
    def mean(self) -> float:
        """Exactly the common reward of a constant group, which a rounded sum may miss."""
        return self.rewards[0] if self.constant else fmean(self.rewards)

    @property
    def variance(self) -> float:
        """Population variance; exactly 0.0 for a constant group."""
        return 0.0 if self.constant else pvariance(self.rewards)

    @property
    def constant(self) -> bool:
        return len(set(self.rewards)) == 1

    @property
    def signal(self) -> Signal:
        if not self.constant:
            return Signal.SIGNAL
        return {1.0: Signal.ALL_SOLVED, 0.0: Signal.ALL_FAILED}.get(
            self.rewards[0], Signal.CONSTANT
        )


@dataclass(frozen=True)
class Thresholds:
    """Zone limits alpha-minus and alpha-plus on the mean reward."""

    low: float = 0.20
    high: float = 0.85


def zone(group: Group, limits: Thresholds) -> Zone:
    """The paper's zones by mean reward."""
    if group.mean > limits.high:
        return Zone.MASTERED
    return Zone.BOUNDARY if group.mean >= limits.low else Zone.HARD


class BoundaryRule(Protocol):
    """Says which groups are at the boundary, and how much they are worth."""

    @property
    def name(self) -> str: ...

    def at_boundary(self, group: Group) -> bool: ...

    def priority(self, group: Group) -> float:
        """Higher is better, in [0, 1]."""


@dataclass(frozen=True)
class MeanRule:
    """The paper's rule: mean within the limits, phi = 4 * mean * (1 - mean)."""

    limits: Thresholds
    name: str = "mean"

    def at_boundary(self, group: Group) -> bool:
        return zone(group, self.limits) is Zone.BOUNDARY

    def priority(self, group: Group) -> float:
        return 4 * group.mean * (1 - group.mean)


@dataclass(frozen=True)
class VarianceRule:
    """A task is at the boundary while the rewards of its group differ; 4 * variance ranks it.

    4 * variance is at most phi, with equality for binary rewards (Bhatia-Davis).
    """

    name: str = "variance"

    def at_boundary(self, group: Group) -> bool:
        return not group.constant

    def priority(self, group: Group) -> float:
        return 4 * group.variance


def make_rule(name: str, limits: Thresholds) -> BoundaryRule:
    """The rule of that name: "mean" or "variance"."""
    return MeanRule(limits) if name == "mean" else VarianceRule()


def select_seeds(
    groups: Iterable[Group],
    rule: BoundaryRule,
    quota: int,
    last_selected: dict[str, int],
    cooldown: int,
) -> list[Group]:
    """The boundary groups to vary, at most `quota` a category, by priority, ties by task id.

    Args:
        last_selected: task id -> step at which it was last chosen.
        cooldown: steps for which a chosen task is not chosen again.
    """
    taken: Counter[str] = Counter()
    chosen = []
    candidates = [
        g
        for g in groups
        if rule.at_boundary(g)
        and (g.task_id not in last_selected or g.step - last_selected[g.task_id] >= cooldown)
    ]
    for group in sorted(candidates, key=lambda g: (-rule.priority(g), g.task_id)):
        if taken[group.category] < quota:
            taken[group.category] += 1
            chosen.append(group)
    return chosen


def signal_share(groups: Sequence[Group]) -> float:
    """Share of groups whose rewards differ."""
    return sum(not g.constant for g in groups) / len(groups) if groups else 0.0
