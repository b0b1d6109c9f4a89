"""Letting in: at most beta of the active pool at an epoch's end, and never more than P_max.

Departure from the paper: it injects first and then cuts the pool back to P_max. Here the least
valuable tasks make room beforehand, so that P_max holds at every moment. As there, tasks that were
not tried yet are never pruned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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

    @property
    def category(self) -> str: ...


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
        most, free = self._limits(pool)
        return most if most <= free else free + sum(1 for _ in self._may_go(pool, most - free))

    def admit(
        self, pool: Pool, candidates: Sequence[Waiting], step: int, epoch: int
    ) -> list[Event]:
        """Events at the end of `epoch`: the pruned, then the injected.

        Args:
            candidates: the most wanted first; none is in the pool yet.
        """
        most, free = self._limits(pool)
        pruned = self._least(pool, min(most, len(candidates)) - free)
        taken = candidates[: min(most, free + len(pruned))]
        self.refused = len(candidates) - len(taken)
        return [Event(step, epoch + 1, e.task_id, "retired", "pruned") for e in pruned] + [
            Event(step, epoch + 1, c.task_id, "injected", c.parent) for c in taken
        ]

    def _limits(self, pool: Pool) -> tuple[int, int]:
        """What beta lets in, and the places that are free below P_max."""
        return int(self.config.beta * len(pool.live)), max(0, self.config.p_max - pool.generated)

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
