"""Admission of candidates: at most beta of the active pool an epoch, and never more than P_max.

The limit is exact: beta is the decimal that was typed. The fraction of a task that is left of it at
an end of an epoch counts at the next one, or a pool of fewer than 1 / beta tasks would never grow.
A whole place that no candidate used is not carried over.

Departure from the paper: it injects first and then cuts the pool back to P_max. Here the least
valuable tasks make room beforehand, so that P_max holds at every moment. As there, tasks that were
not tried yet are never pruned.
"""

from __future__ import annotations

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
    """Decides who joins the pool, and who makes room for them.

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
        """Candidates beyond which no more could join, were this the end of the epoch."""
        return min(floor(self._allowance(pool)), self.config.p_max)

    def room(self, pool: Pool) -> int:
        """Tasks that may join now: what beta allows, within P_max and what may be pruned."""
        most, free = self._limits(pool)
        return most if most <= free else free + sum(1 for _ in self._may_go(pool, most - free))

    def admit(
        self, pool: Pool, candidates: Sequence[Waiting], step: int, epoch: int
    ) -> list[Event]:
        """Events at the end of `epoch`: the pruned, then the injected.

        Call it once an end, since it carries over what is left.

        Args:
            candidates: the most wanted first; none is in the pool yet.
        """
        most, free = self._limits(pool)
        self.carried = self._allowance(pool) % 1
        pruned = self._least(pool, min(most, len(candidates)) - free)
        taken = candidates[: min(most, free + len(pruned))]
        self.refused = len(candidates) - len(taken)
        return [Event(step, epoch + 1, e.task_id, "retired", "pruned") for e in pruned] + [
            Event(step, epoch + 1, c.task_id, "injected", c.parent) for c in taken
        ]

    def _limits(self, pool: Pool) -> tuple[int, int]:
        """What beta lets in, and the places that are free below P_max."""
        return floor(self._allowance(pool)), max(0, self.config.p_max - pool.generated)

    def _allowance(self, pool: Pool) -> Fraction:
        return self.carried + self.beta * len(pool.live)

    def _least(self, pool: Pool, count: int) -> list[Entry]:
        """At most `count` tasks that may make room, the least valuable first."""
        if count <= 0:
            return []
        if not self.config.floor:
            return nsmallest(count, _tried(pool), key=self._value)
        ranked = sorted(_tried(pool), key=self._value)
        return list(self._may_go(pool, count, ranked))

    def _may_go(
        self, pool: Pool, count: int, entries: Iterable[Entry] | None = None
    ) -> Iterator[Entry]:
        """The first `count` of some entries, as far as the floor allows."""
        left = pool.surplus(self.config.floor)
        for entry in _tried(pool) if entries is None else entries:
            if count <= 0:
                return
            if left[entry.category] > 0:
                left[entry.category] -= 1
                count -= 1
                yield entry

    def _value(self, entry: Entry) -> tuple[float, str]:
        """Of a tried task; a rule with forecasts says what it is worth by now."""
        standing = self.rule.standing(entry.task_id, entry.seen + 1)
        return (standing.priority if standing else 1.0, entry.task_id)


def _tried(pool: Pool) -> Iterator[Entry]:
    """Generated tasks that had a group; the others are never pruned."""
    return (e for e in pool.live.values() if e.generated and e.seen >= 0)
