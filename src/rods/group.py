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
from typing import NamedTuple, TypeGuard

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
        size: K, the rollouts that were started; 0 for as many as there are rewards.
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


class GroupRewards(NamedTuple):
    """What a trainer returns of one task's K rollouts.

    Attributes:
        rewards: that the policy is trained on, one a rollout; None for a rollout that was lost, to
            a broken environment for instance.
        outcomes: verified results in [0, 1] of the same rollouts; None where they are the rewards.
    """

    task_id: str
    rewards: Sequence[float | None]
    outcomes: Sequence[float | None] | None = None

    def fault(self, size: int) -> str:
        """What makes them unusable as a group of `size` rollouts, or ""."""
        rewards, outcomes = self.rewards, self.outcomes
        if not isinstance(rewards, tuple | list) or not isinstance(outcomes, tuple | list | None):
            return "rewards and outcomes must be lists or tuples of numbers"
        if outcomes is not None and len(outcomes) != len(rewards):
            return f"{len(outcomes)} outcomes for {len(rewards)} rewards"
        if len(rewards) != size:
            hint = "give one for each rollout, and None for a rollout that was lost"
            return f"{len(rewards)} rewards of {size} rollouts; {hint}"
        for reward, outcome in zip(rewards, rewards if outcomes is None else outcomes, strict=True):
            if reward is None:
                continue
            if not _number(reward):
                return f"a reward of {reward!r}; it must be a finite Python number"
            if not _number(outcome) or not 0 <= outcome <= 1:
                hint = "if rewards are shaped, give the verified results as outcomes"
                return f"an outcome of {outcome!r}, which is not within [0, 1]; {hint}"
        return ""

    def measured(self, category: str, epoch: int, step: int) -> Group:
        """The group of the rollouts that came to an end."""
        outcomes = None
        if self.outcomes is not None:
            pairs = zip(self.rewards, self.outcomes, strict=True)
            outcomes = tuple([o for r, o in pairs if r is not None and o is not None])
        rewards = tuple([reward for reward in self.rewards if reward is not None])
        size = len(self.rewards)
        return Group(self.task_id, category, rewards, epoch, step, size, outcomes)


def signal_share(groups: Iterable[Group]) -> float:
    """Share of groups whose rewards differ."""
    found = [group.signal is Signal.SIGNAL for group in groups]
    return sum(found) / len(found) if found else 0.0


def _constant(values: Sequence[float]) -> bool:
    return not values or values.count(values[0]) == len(values)


def _number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and abs(value) <= MOST  # which nan is not
