"""Groups of K rollouts of one task under one policy: their signal, and what they measure.

A rollout has two numbers. Its *reward* is what the policy is trained on. GRPO's advantages are all
zero exactly where the rewards of a group are equal, so signal is decided by exact equality of all
rewards and never by a rounded mean. Its *outcome* is what was verified: the progress through the
task's turns, or in the paper's ablation the binary reward. The boundary reads outcomes only, since
shaped rewards differ also within groups in which every rollout fails.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest
from statistics import fmean, pstdev, pvariance
from typing import NamedTuple, TypeGuard

MOST = 1e300  # largest absolute value of a reward
SHOWN = 3  # task ids in a message


class Signal(StrEnum):
    """Whether a group has signal, and if not, why."""

    SIGNAL = "signal"
    ALL_SOLVED = "all solved"
    ALL_FAILED = "all failed"
    CONSTANT = "constant in between"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True)
class Group:
    """K rollouts of one task under one policy.

    Attributes:
        rewards: that the policy is trained on, of the rollouts that were not lost, shape [<= K].
        size: K, the rollouts that were started; 0 for as many as there are rewards.
        outcomes: verified results in [0, 1] of the same rollouts; None where they are the rewards.
        passes: how many of these rollouts passed each turn, up to the last turn that one reached;
            None if the trainer does not say.
    """

    task_id: str
    category: str
    rewards: tuple[float, ...]
    epoch: int
    step: int
    size: int = 0
    outcomes: tuple[float, ...] | None = None
    passes: tuple[int, ...] | None = None

    @property
    def verified(self) -> tuple[float, ...]:
        """The outcomes, shape [<= K]."""
        return self.rewards if self.outcomes is None else self.outcomes

    @property
    def complete(self) -> bool:
        """Whether no rollout was lost (for instance, to a broken environment)."""
        return 0 < len(self.rewards) >= self.size

    @property
    def constant(self) -> bool:
        """Whether all rewards are exactly equal; all advantages are zero then."""
        return _constant(self.rewards)

    @property
    def undecided(self) -> bool:
        """Whether the outcomes differ: the policy neither always solves nor always fails."""
        return not _constant(self.verified)

    @property
    def mean(self) -> float:
        """Of the outcomes. If all are equal it is exactly that value, which a sum may miss."""
        if self.undecided:
            return fmean(self.verified)
        return self.verified[0] if self.verified else 0.0

    @property
    def variance(self) -> float:
        """Population variance of the outcomes; exactly 0.0 if all are equal."""
        return pvariance(self.verified) if self.undecided else 0.0

    @property
    def advantage(self) -> float:
        """Mean absolute advantage: mean |outcome - mean| over the standard deviation, in [0, 1].

        GRPO divides by the standard deviation, so this is the size of what it does with a group. It
        is 1 where half of the outcomes are equal and the other half too, 0 where all are equal.
        """
        if not self.undecided:
            return 0.0
        mean, values = self.mean, self.verified
        return min(1.0, fmean(abs(v - mean) for v in values) / pstdev(values))

    @property
    def signal(self) -> Signal:
        """`INCOMPLETE` for an incomplete group, whatever its rewards are."""
        if not self.complete:
            return Signal.INCOMPLETE
        if not self.constant:
            return Signal.SIGNAL
        ends = {1.0: Signal.ALL_SOLVED, 0.0: Signal.ALL_FAILED}
        return Signal.CONSTANT if self.undecided else ends.get(self.mean, Signal.CONSTANT)


class GroupRewards(NamedTuple):
    """What a trainer returns of one task's K rollouts.

    Attributes:
        rewards: that the policy is trained on, one for each rollout; None for a rollout that was
            lost (for instance, to a broken environment).
        outcomes: verified results in [0, 1] of the same rollouts; None where they are the rewards.
        turns: of the same rollouts, whether each turn that was reached passed; only forecasts need
            them.
    """

    task_id: str
    rewards: Sequence[float | None]
    outcomes: Sequence[float | None] | None = None
    turns: Sequence[Sequence[bool]] | None = None

    def fault(self, size: int) -> str:
        """Why they cannot be used as a group of `size` rollouts; "" if they can."""
        rewards, outcomes = self.rewards, self.outcomes
        if not isinstance(rewards, tuple | list) or not isinstance(outcomes, tuple | list | None):
            return "rewards and outcomes must be lists or tuples of numbers"
        if outcomes is not None and len(outcomes) != len(rewards):
            return f"{len(outcomes)} outcomes for {len(rewards)} rewards"
        if len(rewards) != size:
            hint = "give one for each rollout, and None for a rollout that was lost"
            return f"{len(rewards)} rewards of {size} rollouts; {hint}"
        if self.turns is not None and len(self.turns) != len(rewards):
            return f"turns of {len(self.turns)} rollouts for {len(rewards)} rewards"
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
        """The group of the rollouts that were not lost."""
        outcomes = None
        if self.outcomes is not None:
            pairs = zip(self.rewards, self.outcomes, strict=True)
            outcomes = tuple([o for r, o in pairs if r is not None and o is not None])
        rewards = tuple([reward for reward in self.rewards if reward is not None])
        passes = None
        if self.turns is not None:
            known = zip(self.rewards, self.turns, strict=True)
            rows = [turns for reward, turns in known if reward is not None]
            passes = tuple([sum(map(bool, turn)) for turn in zip_longest(*rows)])
        size = len(self.rewards)
        return Group(self.task_id, category, rewards, epoch, step, size, outcomes, passes)


def signal_share(groups: Iterable[Group]) -> float:
    """Share of groups whose rewards differ."""
    found = [group.signal is Signal.SIGNAL for group in groups]
    return sum(found) / len(found) if found else 0.0


def _constant(values: Sequence[float]) -> bool:
    return not values or values.count(values[0]) == len(values)


def _number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and abs(value) <= MOST  # which nan is not


@dataclass(frozen=True)
class Due:
    """The groups that a trainer must return for the next training step.

    They are checked here before they change anything.

    Attributes:
        task_ids: of the step's tasks; a task that occurs twice needs two groups.
        size: K, rollouts of each task.
        category: gives a task's category by its id.
        shaped: the rewards are no outcomes, so outcomes must be given too.
    """

    step: int
    epoch: int
    task_ids: Sequence[str]
    size: int
    category: Callable[[str], str]
    shaped: bool

    def groups(self, given: Sequence[GroupRewards]) -> list[Group]:
        """The groups in the form in which they are stored.

        Raises:
            ValueError: they are not the groups of this step, or their numbers are impossible.
        """
        due, found = Counter(self.task_ids), Counter(group.task_id for group in given)
        wrong = _listed("missing", due - found) + _listed("not due", found - due)
        if wrong:
            tasks = f"its {len(self.task_ids)} tasks"
            message = f"one group is due for each of {tasks}; {'; '.join(wrong)}"
            raise ValueError(f"step {self.step}: {message}")
        return [self._group(group) for group in given]

    def _group(self, given: GroupRewards) -> Group:
        fault = given.fault(self.size)
        if not fault and self.shaped and given.outcomes is None:
            fault = "the format reward is shaped: give the progress as outcomes"
        if fault:
            raise ValueError(f"step {self.step}: group of task {given.task_id}: {fault}")
        return given.measured(self.category(given.task_id), self.epoch, self.step)


def _listed(what: str, tasks: Counter[str]) -> list[str]:
    names = list(tasks.elements())
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return [f"{what}: {', '.join(names[:SHOWN])}{more}"] if names else []
