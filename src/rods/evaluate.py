"""Held-out measurements: mean progress and share complete of each task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from statistics import fmean
from typing import TYPE_CHECKING

from rods.config import Config
from rods.errors import UserError
from rods.policies.registry import EPISODE
from rods.policies.tasks import TaskSides
from rods.ranks import Ranks
from rods.rollout.policy import CollectivePolicy, Policy
from rods.rollout.rollout import Rollout, scored
from rods.rollout.runner import Runner
from rods.store.measures import VALIDATION, summed
from rods.store.schema import TaskMeasurement
from rods.store.store import Store
from rods.task import OVERALL, Task, by_category

if TYPE_CHECKING:
    from rods.lead import Watch


@dataclass
class HeldOut:
    """Measures a run's policy on its held-out tasks, each side and step once.

    Attributes:
        store: None in all processes but the first.
        policy: called with a random seed and with the step.
        ranks: the processes that share the episodes.
        latest: the latest measurement of the validation side, for trackers.
    """

    config: Config
    store: Store | None
    runner: Runner
    tasks: TaskSides
    policy: Callable[[int, int], Policy]
    watch: Watch
    ranks: Ranks = field(default_factory=Ranks)
    latest: dict[str, float] = field(default_factory=dict)

    def on_epoch(self, epoch: int, step: int) -> None:
        """Measure the validation side, if enough steps have passed since it was measured."""
        if self.config.evaluation.validation_every and self.ranks.decide(lambda: self._due(step)):
            self.measure("validation", step)

    def measure(self, side: str, step: int) -> None:
        """Store and show the measurement of a side of the held-out tasks after a step.

        A side without tasks has none.

        Raises:
            UserError: the environment lost all episodes of a category.
        """
        found = self.ranks.decide(lambda: self._stored(side, step))
        if not found:
            settings = self.config.evaluation
            tasks = some_of_each(self.tasks.sides.get(side, ()), settings.tasks)
            validates = side == VALIDATION
            samples = settings.validation_samples if validates else settings.test_samples
            tasks = tasks if samples else ()
            seed = self.config.seed * 1_000_003 + 500_000 + step
            seed += self.ranks.start(len(tasks) * samples) * EPISODE
            found = evaluate(
                self.runner,
                tasks,
                self.policy(seed, step),
                samples=samples,
                temperature=settings.temperature,
                rows=self.config.rollout.at_once,
                step=step,
                side=side,
                tick=lambda share: self.watch.working(f"measuring on {side} tasks", share),
                ranks=self.ranks,
            )
            if self.store is not None:
                with self.store.transaction():
                    self.store.measures.add_heldout(found)
        for row in summed(found):
            if side == VALIDATION and row.category == OVERALL:
                self.latest = {"validation/progress": row.progress}
                self.latest["validation/complete"] = row.complete
                self.watch.heldout(step, row.progress, row.complete)

    def _stored(self, side: str, step: int) -> list[TaskMeasurement]:
        assert self.store is not None
        return self.store.measures.of_tasks(side, step)

    def _due(self, step: int) -> bool:
        assert self.store is not None
        last = self.store.measures.last_validation(step)
        return last is None or step - last >= self.config.evaluation.validation_every


def some_of_each(tasks: Sequence[Task], most: int | None) -> Sequence[Task]:
    """The first tasks of each category, in turn, until there are `most`; None: all of them."""
    if most is None:
        return tasks
    turns = zip_longest(*by_category(tasks).values())
    return [task for turn in turns for task in turn if task is not None][:most]


def evaluate(
    runner: Runner,
    tasks: Sequence[Task],
    policy: Policy,
    *,
    samples: int,
    temperature: float | None = None,
    rows: int,
    step: int,
    side: str,
    tick: Callable[[float], None] = lambda share: None,
    ranks: Ranks | None = None,
) -> list[TaskMeasurement]:
    """Play each task `samples` times. Episodes that the environment lost are not measured.

    Args:
        temperature: of the sampling; None for that of training.
        rows: most episodes that are played together in this process.
        tick: called with the share of this process's episodes that is done.
        ranks: the processes that share the episodes; all of them get all rows.

    Returns:
        A row for each task, except for those of which the environment lost all episodes;
        `episodes` counts those that were measured.

    Raises:
        UserError: the environment lost all episodes of a category.
    """
    ranks = ranks or Ranks()
    jobs = [task for task in tasks for _ in range(samples)]
    own, played = ranks.share(jobs), list[Rollout]()
    for start in range(0, len(own), rows):
        played += runner.run(own[start : start + rows], policy, temperature)
        tick(len(played) / len(own))
    if isinstance(policy, CollectivePolicy):
        policy.finish()
    rollouts = [rollout for some in ranks.gather(played) for rollout in some]
    measured = []
    lost: dict[str, str] = {}
    for place, task in enumerate(tasks):
        played = rollouts[place * samples : (place + 1) * samples]
        if found := scored(played):
            progress, complete = fmean(r.progress for r in found), fmean(r.complete for r in found)
            row = (step, side, task.id, task.category, progress, complete, len(found))
            measured.append(TaskMeasurement(*row))
        else:
            lost.setdefault(task.category, played[0].failure)
    for category in sorted(lost.keys() - {row.category for row in measured}):
        why = f"the environment lost every episode: {lost[category]}"
        raise UserError(f"{side} tasks, {category}: {why}")
    return measured
