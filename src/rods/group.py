"""Groups of K rollouts of one task under one policy: what they teach, and what they measure.

Two numbers belong to a rollout. Its *reward* is what the policy is trained on; GRPO's advantage is
zero exactly where the rewards of a group are equal, so whether a group has signal is decided by
exact equality over all of them, never by a rounded mean. Its *outcome* is what was verified: the
progress through the task's turns, or in the paper's ablation the binary reward. The boundary reads
outcomes only, since a shaped reward differs within groups that fail as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, pvariance

MOST = 1e300  # of a reward, either way


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
        rewards: that the policy is trained on, of the rollouts that came to an end, shape [<= K].
        size: K, the rollouts that were asked for; 0 for as many as there are rewards.
        outcomes: verified results in [0, 1] of the same rollouts; None where they are the rewards.
    """

    task_id: str
    category: str
    rewards: tuple[float, ...]
    epoch: int
    step: int
    size: int = 0
    outcomes: tuple[float, ...] | None = None

    @property
    def verified(self) -> tuple[float, ...]:
        """The outcomes, shape [<= K]."""
        return self.rewards if self.outcomes is None else self.outcomes

    @property
    def complete(self) -> bool:
        """Whether no rollout was lost, to a broken environment for instance."""
        return 0 < len(self.rewards) >= self.size

    @property
    def constant(self) -> bool:
        """Whether all rewards are equal, to the last bit: there is nothing to learn then."""
        return _constant(self.rewards)

    @property
    def undecided(self) -> bool:
        """Whether the outcomes differ: the task is neither sure to be solved nor sure to fail."""
        return not _constant(self.verified)

    @property
    def mean(self) -> float:
        """Of the outcomes; exactly the common one where all are equal, which a sum may miss."""
        if self.undecided:
            return fmean(self.verified)
        return self.verified[0] if self.verified else 0.0

    @property
    def variance(self) -> float:
        """Population variance of the outcomes; exactly 0.0 where all are equal."""
        return pvariance(self.verified) if self.undecided else 0.0

    @property
    def signal(self) -> Signal:
        """An incomplete group counts as such, whatever its rewards are."""
        if not self.complete:
            return Signal.INCOMPLETE
        if not self.constant:
            return Signal.SIGNAL
        ends = {1.0: Signal.ALL_SOLVED, 0.0: Signal.ALL_FAILED}
        return Signal.CONSTANT if self.undecided else ends.get(self.mean, Signal.CONSTANT)

    def fault(self) -> str:
        """What makes its numbers unusable, or ""."""
        if not isinstance(self.rewards, tuple) or not isinstance(self.verified, tuple):
            return "rewards and outcomes must be tuples of numbers"
        if self.outcomes is not None and len(self.outcomes) != len(self.rewards):
            return f"{len(self.outcomes)} outcomes for {len(self.rewards)} rewards"
        if self.size and len(self.rewards) > self.size:
            return f"{len(self.rewards)} rewards of {self.size} rollouts"
        for reward in self.rewards:
            if not _number(reward):
                return f"a reward of {reward!r}; it must be a finite Python number"
        for outcome in self.verified:
            if not _number(outcome) or not 0 <= outcome <= 1:
                hint = "if rewards are shaped, give the verified results as outcomes"
                return f"an outcome of {outcome!r}, which is not within [0, 1]; {hint}"
        return ""


def signal_share(groups: Iterable[Group]) -> float:
    """Share of groups whose rewards differ."""
    found = [group.signal is Signal.SIGNAL for group in groups]
    return sum(found) / len(found) if found else 0.0


def _constant(values: Sequence[float]) -> bool:
    return not values or values.count(values[0]) == len(values)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) <= MOST  # which nan is not
