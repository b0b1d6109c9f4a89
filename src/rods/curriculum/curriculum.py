"""The curriculum: the pool, the boundary rule, and the rules that change the pool.

It is kept in memory. Its state is a function of the events and groups that it observed, and of the
fraction that the latest end of an epoch carried over, so `replay` restores it from a history.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from fractions import Fraction
from itertools import groupby
from math import ceil
from random import Random
from typing import Any

from rods.config import Config
from rods.curriculum.admission import Admission, Waiting
from rods.curriculum.boundary import (
    AdvantageRule,
    BoundaryRule,
    MeanRule,
    RandomRule,
    Thresholds,
    VarianceRule,
)
from rods.curriculum.forecast import Forecaster
from rods.curriculum.pool import Event, Pool, fold
from rods.curriculum.posterior import PosteriorRule
from rods.curriculum.retirement import Retirement
from rods.curriculum.sampling import sample, sample_by_priority
from rods.curriculum.selector import Selection, Selector
from rods.group import Group
from rods.task import Task


def _no_task(task_id: str) -> Task:
    raise LookupError(f"task {task_id}: forecasts need the tasks")


class Curriculum:
    """Samples an epoch, observes its groups, and changes the pool at the epoch's end.

    Args:
        task: gives the task of an id; only forecasts need it.

    Attributes:
        stage: the stage of training.
        pool: all tasks with their states.
        rule: the boundary rule.
        selection: the parent tasks that were chosen at the latest step.
    """

    def __init__(self, config: Config, task: Callable[[str], Task] = _no_task) -> None:
        self.config, self.pool, self.rule = config, Pool(), make_rule(config)
        self.forecaster = (
            Forecaster(config.rollout.group_size, task) if config.pool.forecast else None
        )
        self.stage = config.stages[0]
        limits = config.boundary
        self.selector = Selector(self.rule, limits.quota, limits.cooldown, limits.redistribute)
        self.retirement = Retirement(config.pool, self.rule)
        self.admission = Admission(config.pool, self.rule)
        self.selection = Selection()

    @property
    def expands(self) -> bool:
        """Whether variants are made in this stage and its tasks are judged."""
        return self.config.arm == "rods" and self.stage.expand

    def sample(self, epoch: int) -> list[str]:
        """Task ids of an epoch, in order, for a whole number of steps."""
        categories = frozenset(self.stage.categories)
        rng, size = Random(f"{self.config.seed} epoch {epoch}"), self.config.rollout.tasks_per_step
        if self.config.pool.sampling == "uniform":
            return sample(self.pool, size, categories, epoch, rng)

        def priority(task_id: str) -> float:
            standing = self.rule.standing(task_id, epoch)
            return standing.priority if standing else 1.0

        return sample_by_priority(self.pool, size, categories, rng, priority)

    def apply(self, events: Iterable[Event], categories: Mapping[str, str] = {}) -> None:
        """Apply events to the pool.

        Args:
            categories: task id -> category, of tasks that join.

        Raises:
            ImpossibleEventError: an event cannot happen to its task.
        """
        for event in events:
            self.pool.apply(event, categories.get(event.task_id))

    def observe(self, groups: Sequence[Group]) -> list[Event]:
        """Observe the groups of a training step; the events name the chosen parent tasks."""
        epoch, step = groups[0].epoch, groups[0].step
        self._see(groups, judge=self.expands)
        self.selection = Selection()
        if self.expands:
            known = self.pool.categories()
            categories = [c for c in known if c in self.stage.categories] or known  # as in `sample`
            self.selection = self.selector.select(
                groups, self._identity, self._chosen(), categories
            )
        events = [Event(step, epoch, p.task_id, "chosen") for p in self.selection.parents]
        self.apply(events)
        return events

    def _identity(self, task_id: str) -> str:
        """What the cooldown is of: the task, or its family."""
        return self.pool.family(task_id) if self.config.boundary.family_cooldown else task_id

    def _chosen(self) -> Mapping[str, int]:
        """Identity -> step at which it was last chosen."""
        pool = self.pool
        return pool.family_chosen if self.config.boundary.family_cooldown else pool.chosen

    def retire(self, step: int, epoch: int) -> list[Event]:
        """Carry out the verdicts on the tasks of `epoch`, which has ended."""
        gone = self.retirement.end(self.pool, step, epoch)
        self.apply(gone)
        return gone

    def wanted(self) -> int:
        """The most candidates that an end of the epoch could use with the present pool."""
        return ceil(self.admission.wanted(self.pool) * self.config.synthesis.surplus)

    def room(self) -> int:
        """How many candidates could be used now: those that may join, with the surplus."""
        return ceil(self.admission.room(self.pool) * self.config.synthesis.surplus)

    def admit(self, waiting: Sequence[Waiting], step: int, epoch: int) -> list[Event]:
        """Admit the first, or with forecasts the best, of the waiting at the end of `epoch`."""
        if self.forecaster:
            waiting = self.forecaster.ranked(waiting, self.pool, step)
        came = self.admission.admit(self.pool, waiting, step, epoch)
        self.apply(came, {candidate.task_id: candidate.category for candidate in waiting})
        return came

    def replay(
        self,
        events: Iterable[Event],
        categories: Mapping[str, str],
        groups: Iterable[Group],
        open_epoch: int | None,
        carried: Fraction,
    ) -> None:
        """Restore the state after a history; `stage` must be that of its last epoch.

        Args:
            open_epoch: the epoch that has not ended, whose verdicts are not carried out; or None.
            carried: see `Admission.carried`.

        Raises:
            ImpossibleEventError: the history cannot have happened.
        """
        self.pool, self.admission.carried = fold(events, categories), carried
        for _, step in groupby(groups, key=lambda group: group.step):
            found = list(step)
            epoch = found[0].epoch
            self._see(found, judge=epoch == open_epoch and self.expands)

    def state(self) -> dict[str, Any]:
        """All that future changes depend on, as plain data: equal states behave equally.

        The standings of tasks are left out, since they are a function of the groups.
        """
        return {
            "tasks": {task_id: asdict(entry) for task_id, entry in self.pool.entries.items()},
            "order": list(self.pool.live),
            "chosen": self.pool.chosen,
            "carried": str(self.admission.carried),
            "verdicts": self.retirement.verdicts,
            "forecaster": self.forecaster and self.forecaster.state(),
        }

    def metrics(self) -> dict[str, Any]:
        """Counts for the line of a training step in `metrics.jsonl`."""
        pool, selection = self.pool, self.selection
        return {
            "pool": {
                "active": len(pool.live),
                "seeds": len(pool.live) - pool.generated,
                "generated": pool.generated,
                "resting": len(pool.resting),
            },
            "chosen": len(selection.parents),
            "cooling": selection.cooling,
            "unfilled": dict(selection.unfilled),
            "injected": pool.injected,
            "retired": sum(pool.retired.values()),
            "kept_by_floor": dict(self.retirement.kept),
            **({"forecasts": self.forecaster.made} if self.forecaster else {}),
        }

    def _see(self, groups: Sequence[Group], *, judge: bool) -> None:
        for group in groups:
            self.rule.observe(group)
        if self.forecaster:
            self.forecaster.observe(groups, self.pool)
        self.pool.observe(groups)
        if judge:
            self.retirement.observe(groups, self.pool)


def make_rule(config: Config) -> BoundaryRule:
    """The rule that `boundary.rule` names, before it observed any group."""
    boundary = config.boundary
    if boundary.rule == "mean":
        return MeanRule(Thresholds(boundary.low, boundary.high))
    if boundary.rule == "variance":
        return VarianceRule()
    if boundary.rule == "advantage":
        return AdvantageRule()
    if boundary.rule == "posterior":
        return PosteriorRule(config.rollout.group_size, boundary.memory)
    return RandomRule(config.seed)
