"""Held-out measurements: mean progress and share complete, by category."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

from rods.errors import UserError
from rods.rollout.policy import Policy
from rods.rollout.rollout import Rollout, scored
from rods.rollout.runner import Runner
from rods.store.schema import Evaluation
from rods.task import OVERALL, Task


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
        rows: episodes that are played at once.
        tick: called with the share that is done.

    Returns:
        One row for "overall" and one a category; `episodes` are those that were measured.

    Raises:
        UserError: the environment lost all episodes of a category.
    """
    jobs = [task for task in tasks for _ in range(samples)]
    rollouts: list[Rollout] = []
    for start in range(0, len(jobs), rows):
        rollouts += runner.run(jobs[start : start + rows], policy)
        tick(len(rollouts) / len(jobs))
    by_category: dict[str, list[Rollout]] = {OVERALL: rollouts}
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
