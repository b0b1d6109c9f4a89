"""Groups of K rollouts of one task under one policy, and what their rewards teach.

Whether a group is constant is decided by exact equality over all its rewards, never by a rounded
mean: GRPO's advantage is zero exactly then.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, pvariance


class Signal(StrEnum):
    """What a group teaches, and if nothing, why."""

    SIGNAL = "signal"
    ALL_SOLVED = "all solved"
    ALL_FAILED = "all failed"
    CONSTANT = "constant in between"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True)
class Group:
    """K rollouts of one task under one policy.

    Attributes:
        rewards: progress rewards in [0, 1] of the rollouts that came to an end, shape [<= K].
        size: K, the rollouts that were asked for; 0 for as many as there are rewards.
    """

    task_id: str
    category: str
    rewards: tuple[float, ...]
    epoch: int
    step: int
    size: int = 0

    @property
    def complete(self) -> bool:
        """Whether no rollout was lost, to a broken environment for instance."""
        return 0 < len(self.rewards) >= self.size

    @property
    def constant(self) -> bool:
        """Whether all rewards are equal, to the last bit."""
        return self.rewards.count(self.rewards[0]) == len(self.rewards) if self.rewards else True

    @property
    def mean(self) -> float:
        """Exactly the common reward of a constant group, which a rounded sum may miss."""
        if self.constant:
            return self.rewards[0] if self.rewards else 0.0
        return fmean(self.rewards)

    @property
    def variance(self) -> float:
        """Population variance; exactly 0.0 for a constant group."""
        return 0.0 if self.constant else pvariance(self.rewards)

    @property
    def signal(self) -> Signal:
        """An incomplete group counts as such, whatever its rewards are."""
        if not self.complete:
            return Signal.INCOMPLETE
        if not self.constant:
            return Signal.SIGNAL
        ends = {1.0: Signal.ALL_SOLVED, 0.0: Signal.ALL_FAILED}
        return ends.get(self.rewards[0], Signal.CONSTANT)


def signal_share(groups: Iterable[Group]) -> float:
    """Share of groups whose rewards differ."""
    found = [group.signal is Signal.SIGNAL for group in groups]
    return sum(found) / len(found) if found else 0.0
