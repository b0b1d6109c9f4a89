"""Admission of candidates: for each epoch at most beta of the pool, never more than P_max.

The limit is exact: beta is the decimal that was typed. The fraction of a task that remains at the
end of an epoch is carried over to the next end; otherwise a pool of fewer than 1 / beta tasks would
never grow. A whole place that no candidate used is not carried over.

In the paper no task rests, so its active pool always has the seed tasks. Here seed tasks that rest
count for beta too. Otherwise a pool whose seed tasks rest could shrink without end: fewer active
tasks allow fewer variants.

Departure from the paper: there variants are injected first, and then the pool is pruned to P_max.
Here the tasks of least value are pruned first, so P_max holds at every moment. As in the paper,
tasks that were not tried yet are never pruned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from heapq import nsmallest
from math import floor
from typing import Protocol

from rods.config import PoolConfig
from rods.curriculum.boundary import BoundaryRule
from rods.curriculum.pool import Entry, Event, Pool


class Waiting(Protocol):
    """A candidate; see `rods.store.schema.Candidate`."""

    @property
    def task_id(self) -> str: ...

    @property
    def parent(self) -> str: ...

    @property
    def category(self) -> str: ...


class Admission:
    """Decides which candidates join the pool, and which tasks are pruned for them.

    Attributes:
        carried: fraction of a task that the latest epoch's end left unused, in [0, 1).
        refused: candidates that found no room, at the latest end of an epoch.
    """

    def __init__(self, config: PoolConfig, rule: BoundaryRule) -> None:
        self.config, self.rule = config, rule
        self.beta = Fraction(str(config.beta))
        self.carried = Fraction(0)
        self.refused = 0

    def wanted(self, pool: Pool) -> int:
        """The most candidates that could join if the epoch ended now."""
        return min(floor(self._allowance(pool)), self.config.p_max)

    def room(self, pool: Pool) -> int:
        """How many tasks may join now: within beta and P_max, after what may be pruned."""
        most, free = self._limits(pool)
        return most if most <= free else free + sum(1 for _ in self._may_go(pool, most - free))

    def admit(
        self, pool: Pool, candidates: Sequence[Waiting], step: int, epoch: int
    ) -> list[Event]:
        """Events at the end of `epoch`: first the pruned tasks, then the injected ones.

        Call it once for each end, since it changes `carried`.

        Args:
            candidates: in the order of preference; none is in the pool yet.
        """
        most, free = self._limits(pool)
        candidates = self._within_families(pool, candidates)
        self.carried = self._allowance(pool) % 1
        pruned = self._least(pool, min(most, len(candidates)) - free)
        taken = candidates[: min(most, free + len(pruned))]
        self.refused = len(candidates) - len(taken)
        return [Event(step, epoch + 1, e.task_id, "retired", "pruned") for e in pruned] + [
            Event(step, epoch + 1, c.task_id, "injected", c.parent) for c in taken
        ]

    def _within_families(self, pool: Pool, candidates: Sequence[Waiting]) -> Sequence[Waiting]:
        """The candidates whose families have room, in their order."""
        if self.config.family_share == 1:
            return candidates
        most = max(1, floor(Fraction(str(self.config.family_share)) * self.config.p_max))
        count, found = Counter(pool.families), []
        for candidate in candidates:
            family = pool.family(candidate.parent)
            if count[family] < most:
                count[family] += 1
                found.append(candidate)
        return found

    def _limits(self, pool: Pool) -> tuple[int, int]:
        """How many tasks beta allows, and how many places are free below P_max."""
        return floor(self._allowance(pool)), max(0, self.config.p_max - pool.generated)

    def _allowance(self, pool: Pool) -> Fraction:
        return self.carried + self.beta * pool.members

    def _least(self, pool: Pool, count: int) -> list[Entry]:
        """At most `count` tasks to prune, those of least value first."""
        if count <= 0:
            return []
        if not self.config.floor:
            return nsmallest(count, _tried(pool), key=self._value)
        ranked = sorted(_tried(pool), key=self._value)
        return list(self._may_go(pool, count, ranked))

    def _may_go(
        self, pool: Pool, count: int, entries: Iterable[Entry] | None = None
    ) -> Iterator[Entry]:
        """The first `count` entries that may be pruned without going below the floor."""
        left = pool.surplus(self.config.floor)
        for entry in _tried(pool) if entries is None else entries:
            if count <= 0:
                return
            if left[entry.category] > 0:
                left[entry.category] -= 1
                count -= 1
                yield entry

    def _value(self, entry: Entry) -> tuple[float, str]:
        """Sorts tried tasks by value; a rule with forecasts gives the present value."""
        standing = self.rule.standing(entry.task_id, entry.seen + 1)
        return (standing.priority if standing else 1.0, entry.task_id)


def _tried(pool: Pool) -> Iterator[Entry]:
    """Generated tasks that had a complete group; others are never pruned."""
    return (e for e in pool.live.values() if e.generated and e.seen >= 0)
