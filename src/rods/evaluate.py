"""Held-out measurements: mean progress and share complete, by category."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from rods.config import Config
from rods.errors import UserError
from rods.policies.tasks import TaskSides
from rods.rollout.policy import Policy
from rods.rollout.rollout import Rollout, scored
from rods.rollout.runner import Runner
from rods.store.schema import Evaluation
from rods.store.store import Store
from rods.task import OVERALL, Task

if TYPE_CHECKING:
    from rods.run import Watch


@dataclass
class HeldOut:
    """Measures a run's policy on its held-out tasks, each side and step once.

    Attributes:
        policy: called with a random seed and with the step.
    """

    config: Config
    store: Store
    runner: Runner
    tasks: TaskSides
    policy: Callable[[int, int], Policy]
    watch: Watch

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
        found = [e for e in self.store.evaluations() if (e.side, e.step) == (side, step)]
        if not found:
            settings = self.config.evaluation
            found = evaluate(
                self.runner,
                self.tasks.sides[side],
                self.policy(self.config.seed * 1_000_003 + 500_000 + step, step),
                samples=settings.test_samples if side == "test" else settings.validation_samples,
                rows=self.config.rollout.at_once,
                step=step,
                side=side,
                tick=lambda share: self.watch.working(f"measuring on {side} tasks", share),
            )
            with self.store.transaction():
                self.store.add_evaluation(found)
        for row in found:
            if side == "validation" and row.category == OVERALL:
                self.watch.heldout(step, row.progress, row.complete)


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
) -> list[Evaluation]:
    """Play each task `samples` times. Episodes that the environment lost are not measured.

    Args:
        rows: most episodes that are played together.
        tick: called with the share of the episodes that is done.

    Returns:
        One row for "overall" and one for each category, none without tasks; `episodes` counts those
        that were measured.

    Raises:
        UserError: the environment lost all episodes of a category.
    """
    jobs = [task for task in tasks for _ in range(samples)]
    rollouts: list[Rollout] = []
    for start in range(0, len(jobs), rows):
        rollouts += runner.run(jobs[start : start + rows], policy)
        tick(len(rollouts) / len(jobs))
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
