"""Held-out measurements: mean progress and share complete, by category."""

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
from rods.store.schema import Evaluation
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
        """Measure the validation side at the epochs for which the configuration asks."""
        every = self.config.evaluation.validation_every
        if every and epoch % every == 0:
            self.measure("validation", step)

    def measure(self, side: str, step: int) -> None:
        """Store and show the measurement of a side ("validation", "test") after a step.

        A side without tasks has none.

        Raises:
            UserError: the environment lost all episodes of a category.
        """
        found = self.ranks.decide(lambda: self._stored(side, step))
        if not found:
            settings = self.config.evaluation
            tasks = some_of_each(self.tasks.sides[side], settings.tasks)
            samples = settings.test_samples if side == "test" else settings.validation_samples
            seed = self.config.seed * 1_000_003 + 500_000 + step
            seed += self.ranks.start(len(tasks) * samples) * EPISODE
            found = evaluate(
                self.runner,
                tasks,
                self.policy(seed, step),
                samples=samples,
                rows=self.config.rollout.at_once,
                step=step,
                side=side,
                tick=lambda share: self.watch.working(f"measuring on {side} tasks", share),
                ranks=self.ranks,
            )
            if self.store is not None:
                with self.store.transaction():
                    self.store.measures.add_heldout(found)
        for row in found:
            if side == "validation" and row.category == OVERALL:
                self.latest = {"validation/progress": row.progress}
                self.latest["validation/complete"] = row.complete
                self.watch.heldout(step, row.progress, row.complete)

    def _stored(self, side: str, step: int) -> list[Evaluation]:
        assert self.store is not None
        return [e for e in self.store.measures.heldout() if (e.side, e.step) == (side, step)]


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
    rows: int,
    step: int,
    side: str,
    tick: Callable[[float], None] = lambda share: None,
    ranks: Ranks | None = None,
) -> list[Evaluation]:
    """Play each task `samples` times. Episodes that the environment lost are not measured.

    Args:
        rows: most episodes that are played together in this process.
        tick: called with the share of this process's episodes that is done.
        ranks: the processes that share the episodes; all of them get all rows.

    Returns:
        One row for "overall" and one for each category, none without tasks; `episodes` counts those
        that were measured.

    Raises:
        UserError: the environment lost all episodes of a category.
    """
    ranks = ranks or Ranks()
    jobs = [task for task in tasks for _ in range(samples)]
    own, played = ranks.share(jobs), list[Rollout]()
    for start in range(0, len(own), rows):
        played += runner.run(own[start : start + rows], policy)
        tick(len(played) / len(own))
    if isinstance(policy, CollectivePolicy):
        policy.finish()
    rollouts = [rollout for some in ranks.gather(played) for rollout in some]
    by_category: dict[str, list[Rollout]] = {OVERALL: rollouts} if jobs else {}
    for task, rollout in zip(jobs, rollouts, strict=True):
        by_category.setdefault(task.category, []).append(rollout)
    return [
        _measured(step, side, category, played, scored(played))
        for category, played in by_category.items()
    ]


def _measured(
    step: int, side: str, category: str, played: Sequence[Rollout], found: Sequence[Rollout]
) -> Evaluation:
    if not found:
        why = played[0].failure
        raise UserError(f"{side} tasks, {category}: the environment lost every episode: {why}")
    progress, complete = fmean(r.progress for r in found), fmean(r.complete for r in found)
    return Evaluation(step, side, category, progress, complete, len(found))
