"""What a boundary rule says of a task, and the rules by name.

Departure from the paper: its rule by the mean of a task's latest group is one of four. Under a
per-turn reward a group can be constant in between (every rollout fails at the same turn): its mean
says boundary, its advantage is zero. See `rods.boundary.latest` and `rods.boundary.posterior`.
Where a task stands is read off verified outcomes (`Group.verified`); whether its next group will
have signal is judged on the rewards that are trained on, by `posterior` on the outcomes too, since
it forecasts them alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from rods.group import Group


class Zone(StrEnum):
    """Where a task lies with respect to the agent's ability."""

    MASTERED = "mastered"
    BOUNDARY = "boundary"
    HARD = "hard"


@dataclass(frozen=True)
class Thresholds:
    """Zone limits alpha-minus and alpha-plus on the mean reward."""

    low: float = 0.20
    high: float = 0.85

    def zone(self, mean: float) -> Zone:
        """The paper's zones; the limits belong to the boundary."""
        if mean > self.high:
            return Zone.MASTERED
        return Zone.BOUNDARY if mean >= self.low else Zone.HARD


class Standing(NamedTuple):
    """Where a task stands, as far as a rule can tell.

    Attributes:
        mean: the mean reward that is expected of it, in [0, 1].
        priority: how much a group of it is worth, in [0, 1]; higher is better.
        boundary: whether it may be a seed for variants.
        silent: whether its next group is expected to be without signal.
    """

    mean: float
    priority: float
    boundary: bool
    silent: bool


class BoundaryRule(Protocol):
    """Learns from groups where tasks stand. Its state is a function of the groups it was shown.

    Attributes:
        by_signal: tasks that it finds silent leave the pool.
        forecasts: the standing of a task may change while the task is not seen.
    """

    name: str
    by_signal: bool
    forecasts: bool

    def observe(self, group: Group) -> None: ...

    def standing(self, task_id: str, epoch: int) -> Standing | None:
        """Where the task stands in that epoch; None if nothing is known of it."""
