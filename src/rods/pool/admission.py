"""Letting in: at most beta of the active pool at an epoch's end, and never more than P_max.

Departure from the paper: it injects first and then cuts the pool back to P_max. Here the least
valuable tasks make room beforehand, so that P_max holds at every moment. As there, tasks that were
not tried yet are never pruned.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import nsmallest
from typing import Protocol

from rods.boundary.rule import BoundaryRule
from rods.config import PoolConfig
from rods.pool.event import Event
from rods.pool.pool import Entry, Pool


class Waiting(Protocol):
    """A candidate; see `rods.store.rows.Candidate`."""

    @property
    def task_id(self) -> str: ...

    @property
    def parent(self) -> str: ...


class Admission:
    """Decides who joins the pool, and who makes room for them.

    Attributes:
        refused: candidates that found no room, at the latest end of an epoch.
    """

    def __init__(self, config: PoolConfig, rule: BoundaryRule) -> None:
        self.config, self.rule = config, rule
        self.refused = 0

    def room(self, pool: Pool) -> int:
        """Tasks that may join now: beta * |active|, within P_max and what may be pruned."""
        most = int(self.config.beta * len(pool.live))
        free = max(0, self.config.p_max - pool.generated)
        return most if most <= free else min(most, free + len(self._prunable(pool, most - free)))

    def admit(
        self, pool: Pool, candidates: Sequence[Waiting], step: int, epoch: int
    ) -> list[Event]:
        """Events at the end of `epoch`: the pruned, then the injected.

        Args:
            candidates: the most wanted first; none is in the pool yet.
        """
        taken = candidates[: self.room(pool)]
        self.refused = len(candidates) - len(taken)
        over = max(0, pool.generated + len(taken) - self.config.p_max)
        pruned = self._prunable(pool, over)
        return [Event(step, epoch + 1, e.task_id, "retired", "pruned") for e in pruned] + [
            Event(step, epoch + 1, c.task_id, "injected", c.parent) for c in taken
        ]

    def _prunable(self, pool: Pool, count: int) -> list[Entry]:
        """The least valuable generated tasks, as far as they were tried and the floor allows."""
        if count <= 0:
            return []
        tried = [e for e in pool.live.values() if e.generated and e.seen >= 0]
        if not self.config.floor:
            return nsmallest(count, tried, key=self._value)
        left, found = pool.surplus(self.config.floor), list[Entry]()
        for entry in sorted(tried, key=self._value):
            if len(found) < count and left[entry.category] > 0:
                left[entry.category] -= 1
                found.append(entry)
        return found

    def _value(self, entry: Entry) -> tuple[float, str]:
        """Of a tried task; a rule with forecasts says what it is worth by now."""
        standing = self.rule.standing(entry.task_id, entry.seen + 1)
        return (standing.priority if standing else 1.0, entry.task_id)
