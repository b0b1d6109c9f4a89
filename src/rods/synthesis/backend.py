"""What the loop asks of synthesis, whoever does it."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, runtime_checkable

from rods.errors import UserError
from rods.task import Task


class Synthesis(Protocol):
    """Makes verified tasks and counts what became of each attempt."""

    @property
    def funnel(self) -> Mapping[str, int]:
        """Attempts so far by outcome: "tried", "admitted", or the cause of a failure."""

    def take_failures(self) -> list[dict[str, Any]]:
        """Histories of the seeds whose attempts all failed, since this was last asked."""

    def learn(self, task: Task) -> None:
        """From now on the task counts among those that exist: no near-copy of it is made."""

    def forget(self, task_ids: Collection[str]) -> None:
        """These tasks do not exist any more, so they may be made again."""

    def vary(self, parent: Task, rng: random.Random, epoch: int) -> Task | None:
        """A verified variant with the parent's profile, or None after all attempts failed."""

    def fresh(self, rng: random.Random, epoch: int) -> Task:
        """A verified new task, sized like one of the seeds."""


class Spent(NamedTuple):
    """What a model was used for, `cost` in the currency of the configured prices."""

    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0

    def since(self, before: Spent) -> Spent:
        """What came to it."""
        read, written = self.tokens_in - before.tokens_in, self.tokens_out - before.tokens_out
        return Spent(read, written, self.cost - before.cost)


@runtime_checkable
class Metered(Protocol):
    """Synthesis that knows what it spends."""

    @property
    def spent(self) -> Spent:
        """So far."""


class NoSynthesis:
    """Makes nothing: for runs whose tasks are given."""

    funnel: Mapping[str, int] = MappingProxyType({})

    def take_failures(self) -> list[dict[str, Any]]:
        return []

    def learn(self, task: Task) -> None:
        """Nothing is made, so nothing can resemble it."""

    def forget(self, task_ids: Collection[str]) -> None:
        """Nothing was made."""

    def vary(self, parent: Task, rng: random.Random, epoch: int) -> Task | None:
        return None

    def fresh(self, rng: random.Random, epoch: int) -> Task:
        raise UserError("--arm fresh: these tools have no synthesis; use --arm static")
