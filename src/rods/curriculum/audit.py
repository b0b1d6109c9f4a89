"""Checks that a run's stored history keeps all limits of the pool (for `rods doctor` and tests).

The number of injected tasks and the carried fraction are computed a second time here, so that the
audit does not rely on the code that it checks.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import groupby
from math import floor
from typing import Protocol

from rods.config import Config
from rods.curriculum.pool import Event, ImpossibleEventError, Pool

End = tuple[int, int, Fraction]
"""Epoch, step and carried-over fraction of an epoch's end; see `rods.store.schema.EndRow`."""


class Drawn(Protocol):
    """An epoch's order; see `rods.store.schema.Epoch`."""

    @property
    def number(self) -> int: ...

    @property
    def first_step(self) -> int: ...

    @property
    def stage(self) -> int: ...

    @property
    def task_ids(self) -> Sequence[str]: ...


def faults(
    events: Iterable[Event],
    categories: Mapping[str, str],
    epochs: Sequence[Drawn],
    trained: Mapping[int, Sequence[str]],
    config: Config,
    ends: Sequence[End],
) -> Iterator[str]:
    """The faults of a history, one sentence each; none if it keeps all limits.

    Args:
        categories: task id -> category, of all stored tasks except the candidates that wait.
        trained: step -> the tasks of its groups.
        ends: in the order of the epochs.
    """
    pool, orders, fresh = Pool(), {e.number: e for e in epochs}, config.arm == "fresh"
    limit = Limit(config, ends, {epoch.number: epoch.stage for epoch in epochs})
    for (step, epoch), group in groupby(events, key=lambda e: (e.step, e.epoch)):
        yield from limit.before(step, epoch, pool.members)
        joined, members = 0, None
        for event in group:
            if event.kind == "injected" or event.reason == "pruned":
                members = pool.members if members is None else members
                joined += event.kind == "injected"
            if event.kind == "injected" and event.reason not in pool.entries:
                yield f"task {event.task_id} was injected without its parent {event.reason}"
            try:
                entry = pool.apply(event, categories.get(event.task_id))
            except ImpossibleEventError as error:
                yield str(error)
                continue
            if event.kind == "retired" and not entry.generated:
                yield f"seed task {event.task_id} was retired"
            if pool.generated > config.pool.p_max:
                yield f"epoch {epoch}: {pool.generated} generated tasks, over P_max"
        members = pool.members if members is None else members
        yield from limit.at(step, epoch, members, joined)
    yield from limit.before(None, 0, pool.members)
    for drawn in orders.values():
        unknown = sum(i not in categories for i in drawn.task_ids)
        if unknown:
            yield f"epoch {drawn.number}: {unknown} tasks of its order are not stored"
    if not fresh:
        strangers = {i for e in epochs for i in e.task_ids if i in categories} - set(pool.entries)
        yield from (f"task {i} was drawn and never in the pool" for i in sorted(strangers))
    yield from _trained(epochs, trained, config.rollout.tasks_per_step)


def _trained(
    epochs: Sequence[Drawn], trained: Mapping[int, Sequence[str]], size: int
) -> Iterator[str]:
    """Compare each step's groups with the epoch's order; no step may be missing."""
    for epoch in epochs:
        for place in range(0, len(epoch.task_ids), size):
            step = epoch.first_step + place // size
            wanted = Counter(epoch.task_ids[place : place + size])
            if step in trained and Counter(trained[step]) != wanted:
                yield f"step {step}: its groups are not those of the epoch's order"
    missing = set(range(1, max(trained, default=0) + 1)) - set(trained)
    yield from (f"step {step} has no groups" for step in sorted(missing))


class Limit:
    """How many tasks each end of an epoch may admit, with the fraction from the end before.

    Args:
        stages: epoch -> index of its stage.
    """

    def __init__(self, config: Config, ends: Sequence[End], stages: Mapping[int, int]) -> None:
        self.config, self.beta = config, Fraction(str(config.pool.beta))
        self.stages = stages
        self.left, self.carried = deque(ends), Fraction(0)

    def before(self, step: int | None, epoch: int, members: int) -> Iterator[str]:
        """Check the ends without events that come before a step; None for all that remain."""
        while self.left and (step is None or self._place() < (step, epoch)):
            yield from self.at(*self._place(), members, 0)

    def at(self, step: int, epoch: int, members: int, joined: int) -> Iterator[str]:
        """Check one end of an epoch, or injections that belong to no end.

        Args:
            members: of the pool after retirement, before anything was pruned or injected.
        """
        if not self.left or self._place() != (step, epoch):
            if joined:
                yield f"epoch {epoch}: {joined} injected, at no end of an epoch"
            return
        (ended, _, carried), allowed = self.left.popleft(), Fraction(0)
        if self.config.arm == "rods" and self.config.stage(self.stages.get(ended, 0)).expand:
            allowed = self.carried + self.beta * members
            self.carried = allowed % 1
        if joined > floor(allowed):
            yield f"epoch {epoch}: {joined} injected, over {floor(allowed)}"
        if carried != self.carried:
            found = f"{carried} of a task was carried over, its pool says {self.carried}"
            yield f"epoch {epoch}: {found}"

    def _place(self) -> tuple[int, int]:
        """Step and epoch of the events of the next end."""
        epoch, step, _ = self.left[0]
        return step, epoch + 1
